// Reads the parts of a multipart/x-mixed-replace body; an <img> shows them but hides their headers.

const BLANK = [13, 10, 13, 10]; // ends a part's headers
const MOST_HEADER_BYTES = 8192;

/** Yields { headers, bytes } of each part; header names are in lower case. */
export async function* readParts(body) {
  const input = new Input(body.getReader());
  for (;;) {
    const end = await input.find(BLANK);
    if (end < 0) return;
    const headers = headersOf(new TextDecoder().decode(input.take(end + BLANK.length)));
    const length = Number(headers.get("content-length"));
    if (!Number.isInteger(length) || !(await input.fill(length))) return;
    yield { headers, bytes: input.take(length).slice() };
  }
}

/** Lines without a colon are the delimiter before the headers. */
function headersOf(text) {
  const pairs = text.split("\r\n").map((line) => [line.indexOf(":"), line]);
  return new Map(
    pairs
      .filter(([at]) => at > 0)
      .map(([at, line]) => [line.slice(0, at).toLowerCase(), line.slice(at + 1).trim()]),
  );
}

/** Bytes that have arrived and are not consumed yet. */
class Input {
  constructor(reader) {
    this.reader = reader;
    this.bytes = new Uint8Array(0);
  }

  /** Waits for a sequence and returns its index; -1 if the body ends without it. */
  async find(sequence) {
    for (let from = 0; ; ) {
      const at = indexOf(this.bytes, sequence, from);
      if (at >= 0) return at;
      from = Math.max(0, this.bytes.length - sequence.length + 1);
      if (this.bytes.length > MOST_HEADER_BYTES || !(await this.#more())) return -1;
    }
  }

  /** Waits for so many bytes; false if the body ends before. */
  async fill(count) {
    while (this.bytes.length < count) {
      if (!(await this.#more())) return false;
    }
    return true;
  }

  take(count) {
    const taken = this.bytes.subarray(0, count);
    this.bytes = this.bytes.subarray(count);
    return taken;
  }

  async #more() {
    const { value, done } = await this.reader.read();
    if (done) return false;
    const joined = new Uint8Array(this.bytes.length + value.length);
    joined.set(this.bytes);
    joined.set(value, this.bytes.length);
    this.bytes = joined;
    return true;
  }
}

function indexOf(bytes, sequence, from) {
  for (let at = bytes.indexOf(sequence[0], from); at >= 0; at = bytes.indexOf(sequence[0], at + 1)) {
    if (sequence.every((byte, n) => bytes[at + n] === byte)) return at;
  }
  return -1;
}
