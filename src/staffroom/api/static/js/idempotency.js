// Keys that make a write, sent twice, one write. Unlike crypto.randomUUID, this works without TLS.

const hexadecimal = (byte) => byte.toString(16).padStart(2, "0");

export const newKey = () =>
  [...crypto.getRandomValues(new Uint8Array(16))].map(hexadecimal).join("");
