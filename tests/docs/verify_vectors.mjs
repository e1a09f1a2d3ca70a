// Computes every signature of docs/signature-vectors.json from its request, with Node alone, and
// prints the names of those that differ. Written from the contract, not from the Python code.
import { createHash, createHmac } from "node:crypto";
import { readFileSync } from "node:fs";

const decode = (text) => {
  const bytes = [];
  const raw = Buffer.from(text.replaceAll("+", " "));
  for (let i = 0; i < raw.length; i += 1) {
    const hex = raw.toString("latin1", i + 1, i + 3);
    if (raw[i] === 0x25 && /^[0-9a-fA-F]{2}$/.test(hex)) {
      bytes.push(parseInt(hex, 16));
      i += 2;
    } else {
      bytes.push(raw[i]);
    }
  }
  return Buffer.from(bytes);
};

const encode = (bytes) =>
  [...bytes]
    .map((byte) =>
      /[A-Za-z0-9._~-]/.test(String.fromCharCode(byte)) && byte < 0x80
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
    )
    .join("");

const canonical = ({ method, target, body, timestamp }) => {
  const at = target.indexOf("?");
  const path = at < 0 ? target : target.slice(0, at);
  const query = (at < 0 ? "" : target.slice(at + 1))
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const equals = part.indexOf("=");
      return equals < 0
        ? [decode(part), Buffer.alloc(0)]
        : [decode(part.slice(0, equals)), decode(part.slice(equals + 1))];
    })
    .sort((a, b) => Buffer.compare(a[0], b[0]) || Buffer.compare(a[1], b[1]))
    .map(([key, value]) => `${encode(key)}=${encode(value)}`)
    .join("&");
  const hash = createHash("sha256").update(Buffer.from(body, "utf8")).digest("hex");
  return [method.toUpperCase(), path, query, hash, timestamp].join("\n");
};

const { vectors } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const wrong = vectors.filter((vector) => {
  const text = canonical(vector);
  const digest = createHmac("sha256", vector.signing_secret).update(text).digest("hex");
  return text !== vector.canonical || digest !== vector.signature;
});
console.log(JSON.stringify({ checked: vectors.length, wrong: wrong.map((vector) => vector.name) }));
