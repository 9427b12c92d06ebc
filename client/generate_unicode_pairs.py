#!/usr/bin/env python3
"""Writes client/unicode_pairs.cpp: texts and what Python's str.upper() makes of them.

Run it in this folder when the texts change: python3 generate_unicode_pairs.py > unicode_pairs.cpp
Beside the texts below, every character that has another uppercase is in it, eight to a text.
"""

import sys
import unicodedata

TEXTS = [
    "hello", "The quick brown fox ", "42 ", "e-mail: a@b.org; ",
    "straße", "Weißbier für große Füße ", "ŉ dag", "oﬃce ﬁnal ﬂuid ﬅop ", "ǆ ǅ ǉ ǌ ǰ",
    "çà et là, dès l'été ", "ÿ œuvre ", "żółć gęślą jaźń ", "příliš žluťoučký kůň ",
    "İstanbul ısı ", "þórður æ ø å ", "ẖẗẘẙẚ",
    "ΐ ΰ ὖ ᾳ ᾼ ῷ ", "ξεσκεπάζω την ψυχοφθόρα βδελυγμία ", "ὀδυσσεύς ἄϊδι ", "ςσΣ",
    "съешь ещё этих мягких булок ", "їжак ґудзик ", "ћирилица џ љ њ ", "ӏ ԥ ҁ ꙗ ",
    "եւ և ﬓﬔﬕﬖﬗ ", "քաջ հայ ", "ქართული ენა ", "აბგ ჰჱ ", "ⴀⴁⴂ ", "ꭰꭱꮿ ᏸᏹ ",
    "漢字かな交じり文 ", "中文测试 ", "한국어 글자 ", "ｆｕｌｌｗｉｄｔｈ ",
    "שלום עולם ", "مرحبا بالعالم ", "नमस्ते दुनिया ", "ภาษาไทย ", "አማርኛ ",
    "🙂🚀👩‍👩‍👧‍👦 ", "e\u0301 a\u0308\u0323 \u0345 ", "𐐨𐐩𐑏 𐓘𐓻 ", "𐳀𐳁 𑣀𑣟 𖹠𖹿 𞤢𞥃 ",
    "ⅷ ⅿ ⓐⓩ ", "ɐ ɫ ɽ ʞ ꞔ ", "ⱥ ⱦ ⱳ ȿ ɀ ", "½ ² ª º µ ſ ",
]


def changing_characters():
    characters = (chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000)
    return [c for c in characters if c.upper() != c]


def literal(text):
    encoded = text.encode("utf-8")
    escaped = "".join(
        chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else f"\\{b:03o}" for b in encoded
    )
    return f'{{"{escaped}", {len(encoded)}}}'


def main():
    changing = changing_characters()
    eights = ["".join(changing[i : i + 8]) for i in range(0, len(changing), 8)]
    print("// Written by generate_unicode_pairs.py; not to be edited.")
    print(f"// Python {sys.version.split()[0]}, Unicode {unicodedata.unidata_version}.")
    print('#include "client/unicode_pairs.h"\n')
    print("namespace forkecho::client {\nnamespace {\n")
    print("// clang-format off")
    print("constexpr UnicodePair pairs[] = {")
    for text in TEXTS + eights:
        print(f"    {{{literal(text)}, {literal(text.upper())}}},")
    print("};")
    print("// clang-format on\n")
    print("}  // namespace\n")
    print("std::span<const UnicodePair> unicode_pairs() { return pairs; }\n")
    print("}  // namespace forkecho::client")


if __name__ == "__main__":
    main()
