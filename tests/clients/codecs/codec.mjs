// Values as JavaScript has them, through the real codecs.
//
//   node codec.mjs say FORMAT     prints a JSON list: each value as FORMAT writes it
//   node codec.mjs check FORMAT   reads such a list, and prints one of what did not come back: [name, got]
//
// FORMAT is superjson, or msgpack or msgpackr, whose bytes are given as base64; of these there is also
// "… beyond json", whose values become others on the way.

import { deepStrictEqual } from "node:assert";
import { readFileSync } from "node:fs";
import { inspect } from "node:util";
import * as msgpack from "@msgpack/msgpack";
import * as msgpackr from "msgpackr";
import superjson from "superjson";

const at = new Date("2026-01-02T03:04:05.678Z");
const octets = Uint8Array.from([0, 1, 254, 255]);

const rich = {
  date: at,
  "date before 1970": new Date(-1),
  "date in the year 12026": new Date(Date.UTC(12026, 0)),
  undefined: undefined,
  bigint: 12345678901234567890123n,
  nan: NaN,
  infinities: [Infinity, -Infinity],
  "minus zero": -0,
  "minus zero in an object": { a: -0, b: [-0] },
  regexp: /a.b\/c/gi,
  url: new URL("https://example.com/x?y=1#z"),
  error: new TypeError("bad"),
  "error with a cause": new Error("bad", { cause: at }),
  set: new Set([1, "a", at, undefined]),
  map: new Map([["k", at], [2, new Set([3n])], [at, undefined]]),
  "map of objects": new Map([[{ key: at }, { value: undefined, list: [undefined, at] }]]),
  "undefined here and there": { a: undefined, b: [undefined, { c: undefined }], d: null },
  "keys with dots": { "a.b": at, "c\\d": { "e.f": 1n }, "": at, "g\\.h": { "": { "": 2n } }, 0: at },
  "lists and numbered keys": [{ 0: [at], "01": at }, [[at]]],
  octets,
  "floats with NaN": Float64Array.from([0.5, NaN]),
  "one object twice": (({ x }) => ({ a: x, b: x, list: [x] }))({ x: { at } }),
  "an object with many": Object.fromEntries(Array.from({ length: 50 }, (_, n) => [`k${n}`, n % 2 ? at : n])),
};

const plain = {
  null: null,
  text: "text",
  "text of many alphabets": "Grüße, Δοκιμή, проверка, 検査, 🐘 \u0000 \u007f",
  "long text": "ă".repeat(70_000),
  numbers: [0, 1, -1, 127, 128, -32, -33, 255, 256, 65535, 65536, -32768, -32769, 2 ** 31, 2 ** 32 - 1, 2 ** 32, -(2 ** 31), -(2 ** 31) - 1, -(2 ** 40)],
  fractions: [0.1, -2.5, 1e300, 5e-324],
  "safe integers": [Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER],
  containers: { list: [], object: {}, nested: [[[{ a: [{}] }]]], flags: [true, false, null] },
  "a long list": Array.from({ length: 70_000 }, (_, n) => n % 7),
  "a large object": Object.fromEntries(Array.from({ length: 20 }, (_, n) => [`k${n}`, n])),
};

const binary = {
  octets,
  "no octets": new Uint8Array(),
  "octets here and there": { a: octets, b: [octets, { c: octets }], d: "AAE=" },
  "many octets": new Uint8Array(70_000).fill(255),
};

/** A reproducible stream of numbers below `most` (xorshift). */
function stream(seed) {
  return (most) => {
    seed ^= seed << 13;
    seed ^= seed >>> 17;
    seed ^= seed << 5;
    return (seed >>> 0) % most;
  };
}

/** A value of at most `depth` levels, whose leaves `leaf` makes and whose containers are among `kinds`. */
function grown(next, depth, leaf, kinds) {
  if (depth === 0 || next(3) === 0) return leaf(next);
  const inner = () => grown(next, depth - 1, leaf, kinds);
  const count = next(4);
  switch (kinds[next(kinds.length)]) {
    case "list":
      return Array.from({ length: count }, inner);
    case "object":
      return Object.fromEntries(Array.from({ length: count }, () => [["a", "b.c", "\\", "0", ""][next(5)], inner()]));
    case "map":
      return new Map(Array.from({ length: count }, (_, n) => [[n, at, `k.${n}`][next(3)], inner()]));
    case "set":
      return new Set(Array.from({ length: count }, inner));
  }
}

const plainLeaves = [() => null, (next) => next(1000) - 500, (next) => next(100) / 8, () => "text", () => true];
const richLeaves = [...plainLeaves, (next) => new Date(next(2 ** 31) * 500), () => undefined, () => NaN, () => -0, (next) => BigInt(next(9))];
const binaryLeaves = [...plainLeaves, (next) => new Uint8Array(next(40)).fill(next(256))];

function many(seed, leaves, kinds) {
  const next = stream(seed);
  const leaf = (following) => leaves[following(leaves.length)](following);
  return Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`random ${n}`, grown(next, 5, leaf, kinds)]));
}

const packed = { ...plain, ...binary, ...many(2, binaryLeaves, ["list", "object"]) };
const beyondJson = [
  { date: at, "before 1970": new Date(-1), undefined, list: [undefined], large: Number.MAX_SAFE_INTEGER },
];
const formats = {
  superjson: {
    values: { ...rich, ...plain, ...many(1, richLeaves, ["list", "object", "map", "set"]) },
    write: (value) => JSON.parse(superjson.stringify(value)),
    read: ({ json, meta }) => superjson.deserialize({ json, meta: meta && { ...meta, referentialEqualities: undefined } }),
  },
  msgpack: {
    values: packed,
    write: (value) => Buffer.from(msgpack.encode(value)).toString("base64"),
    read: (written) => msgpack.decode(Buffer.from(written, "base64")),
  },
  msgpackr: {
    values: packed,
    write: (value) => msgpackr.pack(value).toString("base64"),
    read: (written) => msgpackr.unpack(Buffer.from(written, "base64")),
  },
};
for (const name of ["msgpack", "msgpackr"]) formats[`${name} beyond json`] = { ...formats[name], values: beyondJson };

/** How what `format` reads of `written` differs from what it reads of its own writing. */
function difference(value, written, format) {
  try {
    deepStrictEqual(format.read(written), format.read(format.write(value)));
    return [];
  } catch (error) {
    return [String(error.message), inspect(written, { depth: 9 })];
  }
}

const [, , task, name] = process.argv;
const format = formats[name];
const entries = Object.entries(format.values);
if (task === "say") {
  process.stdout.write(JSON.stringify(entries.map(([, value]) => format.write(value))));
} else {
  const written = JSON.parse(readFileSync(0, "utf8"));
  const failures = entries
    .map(([label, value], n) => [label, ...difference(value, written[n], format)])
    .filter((failure) => failure.length > 1);
  process.stdout.write(JSON.stringify({ checked: written.length, failures }));
}
