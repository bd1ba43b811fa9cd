"use strict";

/*
 * What a text is as an SMS, as one types: messaging/sms_text.py once more. The alphabets are its own, handed
 * over by the page; a test holds the two against each other.
 */
var pregonSms = (function () {
  const SINGLE = { "GSM-7": 160, "UCS-2": 70 };
  const EACH = { "GSM-7": 153, "UCS-2": 67 };

  /* Characters of several septets or units are never parted by the end of a segment. */
  function segments(lengths, encoding) {
    const total = lengths.reduce((sum, length) => sum + length, 0);
    if (total <= SINGLE[encoding]) {
      return 1;
    }
    let count = 1;
    let filled = 0;
    for (const length of lengths) {
      if (filled + length > EACH[encoding]) {
        count += 1;
        filled = 0;
      }
      filled += length;
    }
    return count;
  }

  /* Returns what `sms_text.measure` returns; `left` is what the last segment still takes. */
  function measure(text, alphabet) {
    const characters = Array.from(text);
    const nonGsm = Array.from(
      new Set(characters.filter((one) => !alphabet.basic.includes(one) && !alphabet.extension.includes(one)))
    );
    const encoding = nonGsm.length ? "UCS-2" : "GSM-7";
    const lengths = characters.map((one) =>
      encoding === "UCS-2" ? one.length : alphabet.extension.includes(one) ? 2 : 1
    );
    const total = lengths.reduce((sum, length) => sum + length, 0);
    const count = segments(lengths, encoding);
    const room = count === 1 ? SINGLE[encoding] : count * EACH[encoding];
    return {
      encoding: encoding,
      segments: count,
      characters: total,
      nonGsm: nonGsm,
      left: Math.max(room - total, 0),
    };
  }

  return { measure: measure };
})();
