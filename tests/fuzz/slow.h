/* slow.h: what the header does, done again in the most obvious way: base64, HMAC-MD5, UTF-8, modified UTF-7. The
   fuzzers compare. Nothing here is shared with the header, and nothing here is meant to be fast. `inline`, since no
   fuzzer needs all of it. */

#ifndef FUZZ_SLOW_H
#define FUZZ_SLOW_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static const char slow_alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* ---- base64, RFC 4648 section 4 ---- */

/* The six bits of a character, -1 for none of the alphabet. */
static inline int slow_base64_value(char c)
{
    int i;
    for (i = 0; i < 64; i++)
        if (slow_alphabet[i] == c)
            return i;
    return -1;
}

/* Bit `at` of some bytes, those behind their end being zero. */
static inline unsigned slow_bit(const unsigned char *bytes, size_t count, size_t at)
{
    return at / 8 < count ? (unsigned)(bytes[at / 8] >> (7 - at % 8)) & 1u : 0;
}

/* Encodes, bit by bit; `padding` is '=' or 0 for none. Returns how many characters. */
static inline size_t slow_base64_encode(const unsigned char *in, size_t count, char padding, char *out)
{
    size_t digits = (count * 8 + 5) / 6, used = 0, i, k;
    for (i = 0; i < digits; i++) {
        unsigned value = 0;
        for (k = 0; k < 6; k++)
            value = value << 1 | slow_bit(in, count, i * 6 + k);
        out[used++] = slow_alphabet[value];
    }
    while (padding != 0 && used % 4 != 0)
        out[used++] = padding;
    return used;
}

/* Decodes strictly: what comes out must encode back to what came in. Returns how many bytes, or -1. */
static inline long slow_base64_decode(const char *in, size_t count, unsigned char *out)
{
    size_t bits = 0, used, i;
    char again[8];
    if (count % 4 != 0)
        return -1;
    for (i = 0; i < count && in[i] != '='; i++, bits += 6) {
        int value = slow_base64_value(in[i]), k;
        if (value < 0)
            return -1;
        for (k = 0; k < 6; k++) {
            size_t at = bits + (size_t)k;
            if (at % 8 == 0)
                out[at / 8] = 0;
            out[at / 8] = (unsigned char)(out[at / 8] | (unsigned)(value >> (5 - k) & 1) << (7 - at % 8));
        }
    }
    used = bits / 8;
    if (count - i > 2) /* more than two of padding, or something behind it */
        return -1;
    if (count == 0)
        return 0;
    i = count / 4 * 3 - 3; /* the last group decides about padding and the bits that are left over */
    if (used < i || slow_base64_encode(out + i, used - i, '=', again) != 4 || memcmp(again, in + count - 4, 4) != 0)
        return -1;
    return (long)used;
}

/* ---- MD5, RFC 1321, and HMAC, RFC 2104 ---- */

static inline uint32_t slow_md5_turn(uint32_t x, unsigned by)
{
    return x << by | x >> (32 - by);
}

/* The integer parts of 2^32 * abs(sin(i + 1)). */
static const uint32_t slow_md5_sines[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

static inline uint32_t slow_md5_mix(unsigned i, const uint32_t *s, unsigned *word)
{
    if (i < 16) {
        *word = i;
        return (s[1] & s[2]) | (~s[1] & s[3]);
    }
    if (i < 32) {
        *word = (5 * i + 1) % 16;
        return (s[3] & s[1]) | (~s[3] & s[2]);
    }
    if (i < 48) {
        *word = (3 * i + 5) % 16;
        return s[1] ^ s[2] ^ s[3];
    }
    *word = (7 * i) % 16;
    return s[2] ^ (s[1] | ~s[3]);
}

static inline void slow_md5_block(uint32_t *state, const unsigned char *block)
{
    static const unsigned turns[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t words[16], s[4];
    unsigned i, word = 0;
    for (i = 0; i < 16; i++)
        words[i] = (uint32_t)block[4 * i] | (uint32_t)block[4 * i + 1] << 8 | (uint32_t)block[4 * i + 2] << 16 |
                   (uint32_t)block[4 * i + 3] << 24;
    memcpy(s, state, sizeof s);
    for (i = 0; i < 64; i++) {
        uint32_t mixed = slow_md5_mix(i, s, &word);
        uint32_t sum = s[0] + mixed + slow_md5_sines[i] + words[word];
        s[0] = s[3];
        s[3] = s[2];
        s[2] = s[1];
        s[1] += slow_md5_turn(sum, turns[i / 16][i % 4]);
    }
    for (i = 0; i < 4; i++)
        state[i] += s[i];
}

/* `text` is at most 2000 bytes here. */
static inline void slow_md5(const unsigned char *text, size_t count, unsigned char *digest)
{
    uint32_t state[4] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    unsigned char padded[2112];
    size_t whole = (count + 8) / 64 * 64 + 64, i;
    memset(padded, 0, sizeof padded);
    memcpy(padded, text, count);
    padded[count] = 0x80;
    for (i = 0; i < 8; i++)
        padded[whole - 8 + i] = (unsigned char)((uint64_t)count * 8 >> 8 * i);
    for (i = 0; i < whole; i += 64)
        slow_md5_block(state, padded + i);
    for (i = 0; i < 16; i++)
        digest[i] = (unsigned char)(state[i / 4] >> 8 * (i % 4));
}

static inline void slow_hmac_md5(const unsigned char *key, size_t key_count, const unsigned char *text, size_t count,
                                 unsigned char *digest)
{
    unsigned char block[64] = {0}, inner[64 + 1024], outer[64 + 16];
    size_t i;
    if (key_count > 64)
        slow_md5(key, key_count, block);
    else
        memcpy(block, key, key_count);
    for (i = 0; i < 64; i++) {
        inner[i] = block[i] ^ 0x36;
        outer[i] = block[i] ^ 0x5c;
    }
    memcpy(inner + 64, text, count);
    slow_md5(inner, 64 + count, outer + 64);
    slow_md5(outer, sizeof outer, digest);
}

/* ---- UTF-8, by the ranges in the ABNF of RFC 3629 section 4 ---- */

/* How many bytes the character at the beginning of some bytes has; 0 when there is none. */
static inline size_t slow_utf8_one(const unsigned char *text, size_t count)
{
    static const struct {
        unsigned char from, to, second_from, second_to, size;
    } rows[] = {{0x00, 0x7f, 0, 0, 1},       {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3},
                {0xe1, 0xec, 0x80, 0xbf, 3}, {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3},
                {0xf0, 0xf0, 0x90, 0xbf, 4}, {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4}};
    size_t i, k;
    for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (count < rows[i].size || text[0] < rows[i].from || text[0] > rows[i].to)
            continue;
        if (rows[i].size > 1 && (text[1] < rows[i].second_from || text[1] > rows[i].second_to))
            continue;
        for (k = 2; k < rows[i].size; k++)
            if (text[k] < 0x80 || text[k] > 0xbf)
                return 0;
        return rows[i].size;
    }
    return 0;
}

static inline int slow_utf8_is_valid(const unsigned char *text, size_t count)
{
    size_t at = 0, size;
    for (; at < count; at += size) {
        size = slow_utf8_one(text + at, count - at);
        if (size == 0)
            return 0;
    }
    return 1;
}

/* ---- modified UTF-7, RFC 3501 section 5.1.3: each run of others through UTF-16 and base64 as a whole ---- */

static inline size_t slow_utf16(const unsigned char *text, size_t count, unsigned char *out)
{
    size_t at = 0, used = 0;
    while (at < count) {
        size_t size = slow_utf8_one(text + at, count - at), i;
        uint32_t c = size == 1 ? text[at] : text[at] & (0x7fu >> size);
        for (i = 1; i < size; i++)
            c = c * 64 + (text[at + i] - 0x80u);
        if (c >= 0x10000) {
            uint32_t high = 0xd800 + (c - 0x10000) / 0x400;
            out[used++] = (unsigned char)(high / 256);
            out[used++] = (unsigned char)(high % 256);
            c = 0xdc00 + (c - 0x10000) % 0x400;
        }
        out[used++] = (unsigned char)(c / 256);
        out[used++] = (unsigned char)(c % 256);
        at += size;
    }
    return used;
}

/* A whole name, which is valid UTF-8; at most `6 * count + 2` characters, from at most 4096 bytes. */
static inline size_t slow_utf7_encode(const unsigned char *text, size_t count, char *out)
{
    unsigned char units[8192];
    size_t at = 0, used = 0, end, i, digits;
    while (at < count) {
        for (end = at; end < count && (text[end] < 0x20 || text[end] > 0x7e);)
            end++;
        if (end == at) {
            out[used++] = (char)text[at];
            if (text[at++] == '&')
                out[used++] = '-';
            continue;
        }
        out[used++] = '&';
        digits = slow_base64_encode(units, slow_utf16(text + at, end - at, units), 0, out + used);
        for (i = 0; i < digits; i++)
            if (out[used + i] == '/')
                out[used + i] = ',';
        used += digits;
        out[used++] = '-';
        at = end;
    }
    return used;
}

#endif
