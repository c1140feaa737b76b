// The text of a file that the user chose, whatever program wrote it: Excel writes UTF-16 and Windows' own letters too.
const WORKBOOKS = [[0x50, 0x4b, 0x03, 0x04], [0xd0, 0xcf, 0x11, 0xe0]];
const UTF16_MARKS = [[[0xff, 0xfe], "utf-16le"], [[0xfe, 0xff], "utf-16be"]];

// Throws an error with a sentence for the user where the file is no text.
export async function textOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const begins = (mark) => mark.every((byte, at) => bytes[at] === byte);
  if (WORKBOOKS.some(begins)) throw new Error(`${file.name}: a workbook of Excel; save it as CSV and give that file`);
  const marked = UTF16_MARKS.find(([mark]) => begins(mark));
  return marked ? new TextDecoder(marked[1]).decode(bytes) : utf8Or(bytes, "windows-1252");
}

function utf8Or(bytes, encoding) {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return new TextDecoder(encoding).decode(bytes);
  }
}
