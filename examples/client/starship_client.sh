#!/usr/bin/env bash
# A client of the starship API in shell: bash, curl and openssl.
#
#   export STARSHIP_URL=http://127.0.0.1:8080
#   export STARSHIP_API_KEY=sk_test_…  STARSHIP_API_SECRET=…
#   export STARSHIP_SIGNING_SECRET=whsec_…        # left out: requests are not signed
#
#   ./starship_client.sh list [SEARCH]
#   ./starship_client.sh get PRODUCT
#   ./starship_client.sh charges PRODUCT DENOMINATION QUANTITY
#   ./starship_client.sh order PRODUCT DENOMINATION QUANTITY [KEY]
#   ./starship_client.sh read ORDER
#   ./starship_client.sh sign METHOD TARGET TIMESTAMP < BODY
#   ./starship_client.sh verify ID TIMESTAMP SIGNATURE < BODY       # of a webhook
#
# The answer's JSON goes to standard output; a refusal also ends with exit status 1.
set -euo pipefail
export LC_ALL=C # sorting and ${#text} go by bytes

usage() { sed -n '2,/^set -/s/^# \{0,1\}//p' "$0"; exit 2; }

# Bytes of a query part (+ is a blank, %41 is A), as lower-case hex.
hex_of() {
  local text=${1//+/ } out='' byte i
  for ((i = 0; i < ${#text}; i++)); do
    if [[ ${text:i:3} =~ ^%[0-9A-Fa-f]{2}$ ]]; then
      out+=${text:i+1:2}
      i=$((i + 2))
    else
      printf -v byte '%02x' "'${text:i:1}"
      out+=${byte: -2}
    fi
  done
  printf '%s' "${out,,}"
}

# RFC 3986 from that hex: letters, digits and - . _ ~ as they are, every other byte as %XX.
encoded() {
  local hex=$1 byte char i
  for ((i = 0; i < ${#hex}; i += 2)); do
    byte=${hex:i:2}
    printf -v char '%b' "\\x$byte"
    case $byte in
      2d | 2e | 5f | 7e | 3[0-9] | [46][1-9a-f] | 5[0-9a] | 7[0-9a]) printf '%s' "$char" ;;
      *) printf '%%%s' "${byte^^}" ;;
    esac
  done
}

# Pairs sorted by the bytes of key, then of value. A blank sorts before every hex digit, so a key
# that begins another one comes first, as it must.
sorted_query() {
  local query=$1 part parts=() key value first=yes
  [[ -n $query ]] || return 0
  IFS='&' read -ra parts <<<"$query"
  for part in "${parts[@]}"; do
    [[ -n $part ]] || continue
    key=${part%%=*}
    value=''
    [[ $part != *=* ]] || value=${part#*=}
    printf '%s %s\n' "$(hex_of "$key")" "$(hex_of "$value")"
  done | sort | while IFS=' ' read -r key value; do
    [[ $first == yes ]] || printf '&'
    first=no
    printf '%s=%s' "$(encoded "$key")" "$(encoded "$value")"
  done
}

sha256_of_file() { openssl dgst -sha256 -r <"$1" | cut -d' ' -f1; }

# canonical METHOD TARGET TIMESTAMP BODY_FILE: the five lines that are signed.
canonical() {
  local target=$2 query=''
  [[ $target != *\?* ]] || query=${target#*\?}
  printf '%s\n%s\n%s\n%s\n%s' "${1^^}" "${target%%\?*}" "$(sorted_query "$query")" \
    "$(sha256_of_file "$4")" "$3"
}

# The key is the whole whsec_… string. On a machine shared with others, mind that the arguments of
# a running openssl can be seen by them.
signed() {
  local digest
  digest=$(canonical "$@" | openssl dgst -sha256 -hmac "$STARSHIP_SIGNING_SECRET" -r)
  printf 't=%s,v1=%s' "$3" "${digest%% *}"
}

# verified ID TIMESTAMP SIGNATURE BODY_FILE: whether a webhook is ours and at most five minutes old.
# The key is what follows whsec_, decoded; SIGNATURE may hold two while the secret is being rotated.
verified() {
  local key right each age
  [[ $2 =~ ^[1-9][0-9]{0,11}$ ]] || return 1
  age=$(($(date +%s) - $2))
  ((age <= 300 && age >= -300)) || return 1
  key=$(printf '%s' "${STARSHIP_WEBHOOK_SECRET#whsec_}" | openssl base64 -d -A |
    od -An -v -tx1 | tr -d ' \n')
  right=v1,$({ printf '%s.%s.' "$1" "$2"; cat "$4"; } |
    openssl dgst -sha256 -mac HMAC -macopt "hexkey:$key" -binary | openssl base64 -A)
  for each in $3; do
    [[ $each != "$right" ]] || return 0
  done
  return 1
}

# request METHOD TARGET [BODY [HEADER]]: what got no answer, 429 or 503 is sent again, the same
# under the same key, so an order is placed once whatever the network does.
request() {
  local method=$1 target=/api/v1$2 header=${4:-} work status timestamp attempt
  work=$(mktemp -d)
  # shellcheck disable=SC2064  # the folder's name as it is now
  trap "rm -rf '$work'" EXIT
  printf '%s' "${3:-}" >"$work/body"
  for attempt in 1 2 3 4 5; do
    timestamp=$(date +%s)
    {
      printf 'X-API-Key: %s\nX-API-Secret: %s\n' "$STARSHIP_API_KEY" "$STARSHIP_API_SECRET"
      [[ -z ${3:-} ]] || printf 'Content-Type: application/json\n'
      [[ -z $header ]] || printf '%s\n' "$header"
      [[ -z ${STARSHIP_SIGNING_SECRET:-} ]] ||
        printf 'X-Signature: %s\n' "$(signed "$method" "$target" "$timestamp" "$work/body")"
    } >"$work/headers" # in a file of ours alone: arguments could be seen by others
    local send=(curl --silent --request "$method" --header "@$work/headers" --max-time 30)
    [[ -z ${3:-} ]] || send+=(--data-binary "@$work/body")
    status=$("${send[@]}" --output "$work/answer" --write-out '%{http_code}' \
      "${STARSHIP_URL:-http://127.0.0.1:8080}$target") || status=000
    case $status in
      000 | 429 | 503) sleep "$attempt" ;;
      *) break ;;
    esac
  done
  [[ ! -s $work/answer ]] || { cat "$work/answer"; echo; }
  [[ $status == 2* ]] || { echo "the server answered $status" >&2; return 1; }
}

# A query value from plain text.
query_value() {
  local hex
  hex=$(printf '%s' "$1" | od -An -v -tx1 | tr -d ' \n')
  encoded "$hex"
}

case "${1:-} $#" in
  'sign 4')
    body=$(mktemp)
    trap 'rm -f "$body"' EXIT
    cat >"$body"
    signed "$2" "$3" "$4" "$body"
    echo
    ;;
  'verify 4')
    body=$(mktemp)
    trap 'rm -f "$body"' EXIT
    cat >"$body"
    verified "$2" "$3" "$4" "$body" || { echo "this webhook is not ours, or too old" >&2; exit 1; }
    cat "$body"
    echo
    ;;
  'list 1') request GET /products ;;
  'list 2') request GET "/products?search=$(query_value "$2")" ;;
  'get 2') request GET "/products/$2" ;;
  'charges 4')
    request POST "/products/$2/charges" "$(printf '{"denomination": "%s", "quantity": %d}' "$3" "$4")"
    ;;
  'order 4' | 'order 5')
    # Made before the first attempt; keep it beside your own record of the purchase.
    key=${5:-$(openssl rand -hex 16)}
    request POST /orders \
      "$(printf '{"product_id": %d, "denomination": "%s", "quantity": %d}' "$2" "$3" "$4")" \
      "Idempotency-Key: $key"
    ;;
  'read 2') request GET "/orders/$2" ;;
  *) usage ;;
esac
