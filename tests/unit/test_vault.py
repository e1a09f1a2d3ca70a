"""The vault: what opens, what must not, and what the key files refuse."""

import base64
import os
import shutil
import time
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starship_core.errors import ConfigError, InvalidInput, WrongState
from starship_core.keybackup import back_up, restore
from starship_core.keyring import (
    add_key,
    file_of,
    prepare_key,
    read_keys,
    remove_key,
    write_keys,
)
from starship_core.model import NO_EXPIRY, Secret, Sku, Voucher
from starship_core.vault import (
    _SPACES_AND_DASHES,
    Code,
    MissingKey,
    Unsealable,
    Vault,
    create_keys,
    normalised,
)

CODE = Code(Secret("6006-4912 3456"), Secret("0042"), None)
LATER = time.time_ns() + 10**10


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    create_keys(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture
def vault(folder: Path) -> Vault:
    return Vault.open(folder)


def age(folder: Path) -> None:
    """Let the last change of the folder lie well back, as it does but for the first second."""
    os.utime(folder, ns=(LATER, folder.stat().st_mtime_ns - 10**10))


# --- codes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        CODE,
        Code(None, None, Secret("https://claim.example/a?b=ü")),
        Code(Secret("a"), None, Secret("b")),
        Code(None, None, None),
        Code(Secret(""), Secret("\U0001f384"), None),
    ],
)
def test_what_was_sealed_is_revealed(vault: Vault, code: Code) -> None:
    """Absent parts stay absent, empty ones empty."""
    sealed, key_id = vault.seal(7, code)
    assert vault.reveal(7, sealed, key_id) == code


def test_nothing_shows_a_code(vault: Vault) -> None:
    """Neither the code, nor its sealed form, nor a failure to open it."""
    sealed, key_id = vault.seal(7, CODE)
    with pytest.raises(Unsealable) as refusal:
        vault.reveal(8, sealed, key_id)
    seen = f"{CODE} {CODE!r} {sealed} {key_id} {refusal.value!r} {refusal.value.__cause__!r}"
    assert "6006" not in seen
    assert "0042" not in seen
    with pytest.raises(TypeError):
        msgspec.json.encode(CODE)


def test_a_voucher_gives_its_code() -> None:
    """The three secret parts and nothing else."""
    voucher = Voucher(
        sku=Sku(1, 1, "EUR"), reference="r", card_number=Secret("1"), pin_code=Secret("2"),
        claim_url=Secret("3"), expires_at=NO_EXPIRY,
    )  # fmt: skip
    assert Code.of(voucher) == Code(Secret("1"), Secret("2"), Secret("3"))


def test_two_seals_of_one_code_differ(vault: Vault) -> None:
    """A nonce is never used twice, so equal codes cannot be told from the table."""
    assert len({vault.seal(7, CODE)[0] for _ in range(100)}) == 100


def test_swapped_ciphertexts_do_not_open(vault: Vault) -> None:
    """Two rows that exchange their ciphertexts are both refused."""
    first, key_id = vault.seal(1, CODE)
    second, _ = vault.seal(2, Code(Secret("other"), None, None))
    for voucher_id, sealed in ((1, second), (2, first)):
        with pytest.raises(Unsealable):
            vault.reveal(voucher_id, sealed, key_id)


@settings(deadline=None)
@given(at=st.integers(0, 10_000), flip=st.integers(1, 255))
def test_any_altered_byte_is_noticed(at: int, flip: int) -> None:
    """Nonce, content and tag alike."""
    sealed, key_id = SHARED.seal(7, CODE)
    raw = bytearray(base64.b64decode(sealed))
    raw[at % len(raw)] ^= flip
    with pytest.raises(Unsealable):
        SHARED.reveal(7, base64.b64encode(raw).decode(), key_id)


@pytest.mark.parametrize(
    "text", ["", "AAAA", "not base64!", "é", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"]
)
def test_what_is_no_ciphertext_is_refused_alike(vault: Vault, text: str) -> None:
    """Cut off, garbage, other alphabets: Unsealable, and no other exception."""
    key_id = vault.seal(1, CODE)[1]
    with pytest.raises(Unsealable):
        vault.reveal(1, text, key_id)


def test_secrets_and_codes_do_not_open_as_each_other(vault: Vault) -> None:
    """A ciphertext moved between tables is refused: purposes have sub-keys of their own."""
    sealed, key_id = vault.seal(7, CODE)
    with pytest.raises(Unsealable):
        vault.open_secret("signing:7", f"{key_id}.{sealed}")
    with pytest.raises(Unsealable):
        vault.reveal(7, vault.seal_secret("signing:7", "whsec_x").partition(".")[2], key_id)


def test_a_row_of_an_absent_key_is_not_called_altered(vault: Vault) -> None:
    """A missing key file is trouble of this machine; the row must not go to quarantine for it."""
    sealed, _ = vault.seal(7, CODE)
    with pytest.raises(MissingKey):
        vault.reveal(7, sealed, "k9-00000000")
    with pytest.raises(MissingKey):
        vault.open_secret("signing:1", "whsec_plain")


# --- secrets and signatures -----------------------------------------------------------------------


def test_a_secret_opens_for_its_purpose_only(vault: Vault) -> None:
    """Signing secrets of two credentials cannot be exchanged."""
    sealed = vault.seal_secret("signing:12", "whsec_abc")
    assert vault.open_secret("signing:12", sealed) == Secret("whsec_abc")
    assert "whsec" not in sealed
    with pytest.raises(Unsealable):
        vault.open_secret("signing:13", sealed)


def test_a_signature_holds_for_its_message_and_purpose(vault: Vault) -> None:
    """Anything else, garbage included, is simply false."""
    signature = vault.sign("quote", b"12.50")
    assert vault.check("quote", b"12.50", signature)
    assert not vault.check("quote", b"12.51", signature)
    assert not vault.check("cursor", b"12.50", signature)
    for garbage in ("", ".", signature[:-1], signature + "A", "k1-00000000.AAAA", "é.é", "\ud800"):
        assert not vault.check("quote", b"12.50", garbage)


def test_old_signatures_and_rows_outlive_a_rotation(folder: Path, vault: Vault) -> None:
    """What was signed or sealed before a key was added holds and opens after."""
    signature, (sealed, old) = vault.sign("quote", b"x"), vault.seal(7, CODE)
    added = add_key(folder)
    rotated = Vault.open(folder)
    assert rotated.check("quote", b"x", signature)
    assert rotated.reveal(7, sealed, old) == CODE
    assert rotated.seal(7, CODE)[1] == added.id != old


# --- fingerprints ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Code(Secret("ABCD 1234"), None, None), Code(Secret("abcd-1234"), None, None)),
        (Code(Secret("ＡＢ１"), None, None), Code(Secret("AB1"), None, None)),
        (Code(Secret("1–2"), Secret(" 9 "), None), Code(Secret("12"), Secret("9"), None)),
        (
            Code(None, None, Secret("HTTPS://Claim.Example/aB ")),
            Code(None, None, Secret("https://claim.example/aB")),
        ),
    ],
)
def test_one_code_in_two_spellings_has_one_fingerprint(
    vault: Vault, one: Code, other: Code
) -> None:
    """Spacing, dashes, width and case differ between suppliers' lists."""
    assert vault.fingerprint("Store", one) == vault.fingerprint(" store", other)


def test_different_codes_have_different_fingerprints(vault: Vault) -> None:
    """Also when their parts would read the same in a row, or a URL's path differs in case."""
    codes = [
        Code(Secret("12"), Secret("3"), None),
        Code(Secret("1"), Secret("23"), None),
        Code(Secret("123"), None, None),
        Code(None, Secret("123"), None),
        Code(Secret("123"), Secret(""), None),
        Code(None, None, Secret("https://a.example/x")),
        Code(None, None, Secret("https://a.example/X")),
        Code(None, None, None),
    ]
    prints = {vault.fingerprint(brand, code) for code in codes for brand in ("a", "b")}
    assert len(prints) == 2 * len(codes)


def test_fingerprints_survive_rotation_and_differ_between_deployments(
    folder: Path, tmp_path: Path
) -> None:
    """A duplicate is still seen after the keys changed; nobody else can compute it."""
    before = Vault.open(folder).fingerprint("Store", CODE)
    add_key(folder)
    create_keys(tmp_path / "others")
    assert Vault.open(folder).fingerprint("Store", CODE) == before
    assert Vault.open(tmp_path / "others").fingerprint("Store", CODE) != before


# --- keys in a folder -----------------------------------------------------------------------------


def test_keys_are_made_for_the_owner_only(folder: Path) -> None:
    """Two files: the index key that never changes, and the first vault key."""
    modes = {path.name[:2]: path.stat().st_mode & 0o777 for path in folder.iterdir()}
    assert (modes, folder.stat().st_mode & 0o777) == ({"in": 0o600, "k1": 0o600}, 0o700)


def test_keys_are_never_overwritten(folder: Path) -> None:
    """Neither all of them nor one of them."""
    before = {path: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(WrongState):
        create_keys(folder)
    with pytest.raises(WrongState):
        write_keys(folder, [read_keys(folder).index])
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


def test_an_open_vault_learns_of_a_key_by_itself(folder: Path) -> None:
    """Another process rotates: this one opens its rows, and seals with the new key from now on."""
    age(folder)
    running = Vault.open(folder)
    old = running.seal(1, CODE)[1]
    added = add_key(folder)
    sealed, key_id = Vault.open(folder).seal(2, CODE)
    assert running.reveal(2, sealed, key_id) == CODE
    assert running.seal(3, CODE)[1] == running.current_key == added.id != old


def test_a_key_added_in_the_same_instant_is_seen(folder: Path) -> None:
    """The folder's time of change may be too coarse to tell; then it is read again."""
    running = Vault.open(folder)
    stamp = folder.stat().st_mtime_ns
    added = add_key(folder)
    os.utime(folder, ns=(stamp, stamp))
    assert running.current_key == added.id


def test_a_folder_that_becomes_unreadable_changes_nothing(folder: Path) -> None:
    """A running server goes on with the keys it has."""
    running = Vault.open(folder)
    sealed, key_id = running.seal(1, CODE)
    folder.rename(folder.with_name("lost"))
    assert running.reveal(1, sealed, key_id) == CODE
    assert running.seal(1, CODE)[1] == key_id


def test_only_an_old_key_can_be_removed(folder: Path) -> None:
    """The current one and the index stay whatever is asked."""
    old = read_keys(folder).current.id
    for key_id in (old, "index", "k7-00000000"):
        with pytest.raises(WrongState):
            remove_key(folder, key_id)
    new = add_key(folder)
    remove_key(folder, old)
    assert list(read_keys(folder).vault) == [new.id]


def test_the_tenth_key_follows_the_ninth(folder: Path) -> None:
    """Keys are ordered by number, not by name."""
    for _ in range(9):
        add_key(folder)
    keys = read_keys(folder)
    assert [key.number for key in keys.vault.values()] == list(range(1, 11))
    assert keys.current.number == 10


# --- refusals -------------------------------------------------------------------------------------


def refusal(folder: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        Vault.open(folder)
    return str(refused.value)


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    """And the message says what makes it."""
    assert "starship init" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_key_file_that_others_can_read_is_refused(folder: Path, mode: int) -> None:
    """With the command that mends it."""
    path = folder / "index.key"
    path.chmod(mode)
    assert refusal(folder) == f"{path}: mode {mode:03o} lets others in; `chmod 600 {path}`"


def test_a_folder_that_others_can_enter_is_refused(folder: Path) -> None:
    """Files inside could be replaced."""
    folder.chmod(0o755)
    assert "chmod 700" in refusal(folder)


@pytest.mark.parametrize("lost", ["index.key", "k1-*.key"])
def test_a_lost_key_file_is_refused(folder: Path, lost: str) -> None:
    """Without one of them the vault is not the same vault."""
    next(folder.glob(lost)).unlink()
    assert "restore it from a backup" in refusal(folder)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b'{"id":"index","created_at":1,"key":"AAAA"}',
        b'{"id":"index"}',
    ],
)
def test_a_malformed_key_file_is_refused_without_its_content(folder: Path, content: bytes) -> None:
    """By name; a truncated key is not shown."""
    (folder / "index.key").write_bytes(content)
    message = refusal(folder)
    assert message.startswith(f"{folder / 'index.key'}: malformed")
    assert "AAAA" not in message


def test_an_altered_or_renamed_key_is_refused(folder: Path) -> None:
    """Its name holds a check value, so one wrong character is found at the start, not in a row."""
    path = next(folder.glob("k1-*.key"))
    file = msgspec.json.decode(path.read_bytes())
    swapped = "B" if file["key"][5] != "B" else "C"
    altered = file["key"][:5] + swapped + file["key"][6:]
    path.write_bytes(msgspec.json.encode({**file, "key": altered}))
    assert "malformed, or not the key its name says" in refusal(folder)
    path.write_bytes(msgspec.json.encode(file))
    path.rename(folder / "k2-00000000.key")
    assert "file and key must have one name" in refusal(folder)


def test_every_problem_is_named_at_once(folder: Path) -> None:
    """Not one a run."""
    for path in folder.iterdir():
        path.chmod(0o644)
    folder.chmod(0o755)
    assert len(refusal(folder).splitlines()) == 3


# --- the next key, and backups ----------------------------------------------------------------
def test_a_prepared_key_opens_everywhere_before_it_seals_anywhere(
    folder: Path, tmp_path: Path
) -> None:
    """Two machines: the file is brought to both, then one of them begins to use it."""
    other = tmp_path / "other"
    prepared = prepare_key(folder)
    assert prepare_key(folder) == prepared, "the same one until it is in use"
    shutil.copytree(folder, other)
    here, there = Vault.open(folder), Vault.open(other)
    assert here.seal(1, CODE)[1] == there.seal(1, CODE)[1] != prepared.id

    assert add_key(folder).id == prepared.id

    sealed, key_id = Vault.open(folder).seal(2, CODE)
    assert key_id == prepared.id
    assert there.reveal(2, sealed, key_id) == CODE
    assert there.seal(3, CODE)[1] != prepared.id
    assert sorted(path.suffix for path in folder.iterdir()) == [".key", ".key", ".key"]


def test_a_key_that_was_activated_halfway_is_in_use(folder: Path) -> None:
    """Killed between making the `.key` and removing the `.next`: both files are there."""
    prepared = prepare_key(folder)
    path = file_of(folder, prepared)
    (copy := path.with_suffix(".key")).write_bytes(path.read_bytes())
    copy.chmod(0o600)
    assert read_keys(folder).current.id == prepared.id
    assert add_key(folder).number == prepared.number + 1


PHRASE = Secret("a horse, a battery")


def test_the_drill_everything_opens_after_the_folder_was_lost(folder: Path) -> None:
    """Back up, lose the folder, restore: codes, secrets, signatures and fingerprints as before."""
    prepare_key(folder)
    old = Vault.open(folder)
    kept = (old.seal(7, CODE), old.seal_secret("s", "x"), old.sign("q", b"m"))
    add_key(folder)
    before = Vault.open(folder)
    newer = before.seal(8, CODE)
    backup = back_up(folder, PHRASE)
    shutil.rmtree(folder)

    restored = restore(backup, PHRASE, folder)

    assert [key_id.partition("-")[0] for key_id in restored] == ["index", "k1", "k2"]
    after = Vault.open(folder)
    (sealed, key_id), secret, signature = kept
    assert after.reveal(7, sealed, key_id) == after.reveal(8, *newer) == CODE
    assert after.open_secret("s", secret) == Secret("x")
    assert after.check("q", b"m", signature)
    assert after.fingerprint("b", CODE) == before.fingerprint("b", CODE)
    assert after.current_key == before.current_key
    assert [path.stat().st_mode & 0o777 for path in folder.iterdir()] == [0o600] * 3


@pytest.mark.parametrize("lost", ["index.key", "k1-*.key", "k2-*.next"])
def test_a_single_lost_key_is_put_back(folder: Path, lost: str) -> None:
    """And what is there is left as it is."""
    prepare_key(folder)
    backup = back_up(folder, PHRASE)
    path = next(folder.glob(lost))
    content = path.read_bytes()
    path.unlink()
    assert restore(backup, PHRASE, folder) == [path.stem]
    assert path.read_bytes() == content
    assert restore(backup, PHRASE, folder) == []


def test_another_deployments_keys_are_not_mixed_in(folder: Path, tmp_path: Path) -> None:
    """A restore into the wrong folder changes nothing."""
    create_keys(tmp_path / "others")
    before = sorted(folder.iterdir())
    with pytest.raises(WrongState, match="another deployment"):
        restore(back_up(tmp_path / "others", PHRASE), PHRASE, folder)
    assert sorted(folder.iterdir()) == before


def test_a_backup_shows_nothing_and_opens_for_its_passphrase_only(folder: Path) -> None:
    """No key is readable in it; a wrong passphrase and an altered file are refused."""
    backup = back_up(folder, PHRASE)
    for path in folder.iterdir():
        assert msgspec.json.decode(path.read_bytes())["key"].encode() not in backup
    altered = msgspec.json.decode(backup)
    altered["sealed"] = "A" + altered["sealed"][1:]
    if altered["sealed"] == msgspec.json.decode(backup)["sealed"]:
        altered["sealed"] = "B" + altered["sealed"][1:]
    for content, phrase, reason in (
        (backup, Secret("a house, a battery"), "passphrase"),
        (msgspec.json.encode(altered), PHRASE, "passphrase"),
        (b"{}", PHRASE, "not a backup"),
        (b"\xff", PHRASE, "not a backup"),
        (backup, Secret("short"), "at least 12"),
    ):
        with pytest.raises(InvalidInput, match=reason):
            restore(content, phrase, folder / "new")
    assert not (folder / "new").exists()
    with pytest.raises(InvalidInput, match="at least 12"):
        back_up(folder, Secret("short"))


@pytest.fixture(scope="module", autouse=True)
def _shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    global SHARED  # noqa: PLW0603  # Hypothesis shares it between examples
    create_keys(folder := tmp_path_factory.mktemp("shared") / "keys")
    SHARED = Vault.open(folder)


SHARED: Vault


@given(code=st.text(st.characters(codec="ascii"), min_size=1))
def test_the_short_way_for_ascii_makes_of_a_code_what_the_rule_says(code: str) -> None:
    """Else a code would have two fingerprints, and could be sold twice."""
    by_the_rule = _SPACES_AND_DASHES.sub("", code).casefold() or code
    assert normalised(code) == by_the_rule
