/* scram.h: what a client must say in each mechanism, and SCRAM from the password on, done with wolfSSL's PBKDF2 and HMAC
   alone. Nothing here is shared with the header: fuzz_connect.c compares. */

#ifndef FUZZ_SCRAM_H
#define FUZZ_SCRAM_H

#include "fuzz.h"

#include <wolfssl/wolfcrypt/hmac.h>
#include <wolfssl/wolfcrypt/pwdbased.h>

#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

#define SCRAM_NONCE "AAECAwQFBgcICQoLDA0ODxAR" /* what fixed_random() makes */

typedef struct scram_mechanism {
    const char *name;
    int bit;   /* of config.auth */
    int clear; /* it shows the password, or lets in whoever asks */
    int hash;  /* of SCRAM, or 0 */
    /* What the client says first: U, P user and password, E the user escaped, A the same behind "a=", or nothing where it
       is empty; 0 NUL, 1 ^A. */
    const char *first;
} scram_mechanism;

/* From the first that is tried to the last: the order in imapconnect.h. LOGIN is a command of its own. */
static const scram_mechanism scram_mechanisms[] = {
    {"EXTERNAL", IMAPCONNECT_AUTH_EXTERNAL, 1, 0, "U"},
    {"OAUTHBEARER", IMAPCONNECT_AUTH_OAUTHBEARER, 1, 0, "n,A,1auth=Bearer P11"},
    {"XOAUTH2", IMAPCONNECT_AUTH_XOAUTH2, 1, 0, "user=U1auth=Bearer P11"},
    {"SCRAM-SHA-256", IMAPCONNECT_AUTH_SCRAM_SHA_256, 0, WC_SHA256, "n,,n=E,r=" SCRAM_NONCE},
    {"SCRAM-SHA-1", IMAPCONNECT_AUTH_SCRAM_SHA_1, 0, WC_SHA, "n,,n=E,r=" SCRAM_NONCE},
    {"CRAM-MD5", IMAPCONNECT_AUTH_CRAM_MD5, 0, 0, 0},
    {"PLAIN", IMAPCONNECT_AUTH_PLAIN, 1, 0, "0U0P"},
    {"LOGIN", IMAPCONNECT_AUTH_LOGIN, 1, 0, 0}};

#define SCRAM_MECHANISMS (sizeof scram_mechanisms / sizeof scram_mechanisms[0])

/* RFC 5802 section 5.1: saslname. */
static void scram_escape(fuzz_text *out, const char *text)
{
    for (; *text != '\0'; text++)
        if (*text == ',' || *text == '=')
            fuzz_add(out, *text == ',' ? "=2C" : "=3D", 3);
        else
            fuzz_add(out, text, 1);
}

/* What the client says first, not in base64. The letters mean something where they are no part of a word. */
static void scram_first(fuzz_text *out, const char *format, const char *user, const char *password)
{
    size_t i;
    out->count = 0;
    fuzz_add(out, "", 0);
    for (i = 0; format[i] != '\0'; i++) {
        int alone = strncmp(format + i, SCRAM_NONCE, 24) != 0;
        if (!alone) {
            fuzz_add(out, SCRAM_NONCE, 24);
            i += 23;
        } else if (format[i] == 'U' || format[i] == 'P') {
            const char *text = format[i] == 'U' ? user : password;
            fuzz_add(out, text, strlen(text));
        } else if (format[i] == 'E' || format[i] == 'A') {
            if (format[i] == 'A' && user[0] != '\0')
                fuzz_add(out, "a=", 2);
            scram_escape(out, user);
        } else if (format[i] == '0' || format[i] == '1') {
            fuzz_add(out, format[i] == '0' ? "\0" : "\1", 1);
        } else {
            fuzz_add(out, format + i, 1);
        }
    }
}

/* The base64 of a line into `out`, which gets a NUL. Returns 0 when it is none. */
static int scram_decode(fuzz_text *out, const char *line, size_t count)
{
    unsigned char *plain = (unsigned char *)malloc(count + 8);
    long size;
    if (plain == 0)
        abort();
    size = slow_base64_decode(line, count, plain);
    out->count = 0;
    fuzz_add(out, plain, size > 0 ? (size_t)size : 0);
    free(plain);
    return size >= 0;
}

static size_t scram_hmac(int hash, const unsigned char *key, size_t key_size, const void *text, size_t count,
                         unsigned char *out)
{
    Hmac hmac;
    if (wc_HmacInit(&hmac, 0, INVALID_DEVID) != 0 || wc_HmacSetKey(&hmac, hash, key, (word32)key_size) != 0 ||
        wc_HmacUpdate(&hmac, (const byte *)text, (word32)count) != 0 || wc_HmacFinal(&hmac, out) != 0)
        abort();
    wc_HmacFree(&hmac);
    return hash == WC_SHA ? WC_SHA_DIGEST_SIZE : WC_SHA256_DIGEST_SIZE;
}

/* The value of the first attribute with this name; its length. A nonce may hold any byte but a comma. */
static size_t scram_value(const fuzz_text *message, char name, const char **value)
{
    size_t at = 0, end = 0;
    for (; at < message->count; at = end + 1) {
        for (end = at; end < message->count && message->bytes[end] != ',';)
            end++;
        *value = message->bytes + at + 2;
        if (end >= at + 2 && message->bytes[at] == name && message->bytes[at + 1] == '=')
            return end - at - 2;
    }
    return 0;
}

/* SaltedPassword, ClientKey, ClientProof and the server's signature, RFC 5802 section 3, into the run. `server` is
   server-first-message, `last` the client's last one. Nothing when the first cannot be understood. */
static void scram_derive(fuzz_run *run, int hash, const char *user, const char *password, const fuzz_text *server,
                         const fuzz_text *last)
{
    unsigned char salt[80], stored[32], sign[32], *salted = run->keys[0], *key = run->keys[1];
    const char *value = 0;
    size_t count = scram_value(server, 's', &value), size = hash == WC_SHA ? 20 : 32, i;
    long salt_size = count > 0 && count < 100 ? slow_base64_decode(value, count, salt) : -1;
    fuzz_text message = {0, 0, 0};
    fuzz_require(run, salt_size > 0 && scram_value(server, 'i', &value) > 0,
                 "an answer to what SCRAM does not allow");
    if (wc_PBKDF2(salted, (const byte *)password, (int)strlen(password), salt, (int)salt_size,
                  (int)strtol(value, 0, 10), (int)size, hash) != 0)
        abort();
    fuzz_add(&message, "n=", 2);
    scram_escape(&message, user);
    fuzz_say(&message, ",r=" SCRAM_NONCE ",");
    fuzz_add(&message, server->bytes, server->count);
    fuzz_add(&message, ",", 1);
    (void)scram_value(last, 'p', &value);
    fuzz_add(&message, last->bytes, (size_t)(value - 3 - last->bytes));
    (void)scram_hmac(hash, salted, size, "Client Key", 10, key);
    if ((hash == WC_SHA ? wc_ShaHash(key, 20, stored) : wc_Sha256Hash(key, 32, stored)) != 0)
        abort();
    (void)scram_hmac(hash, stored, size, message.bytes, message.count, sign);
    for (i = 0; i < size; i++)
        run->keys[2][i] = key[i] ^ sign[i];
    (void)scram_hmac(hash, salted, size, "Server Key", 10, run->keys[3]);
    (void)scram_hmac(hash, run->keys[3], size, message.bytes, message.count, sign);
    run->signature[slow_base64_encode(sign, size, '=', run->signature)] = '\0';
    run->key_size = size;
    free(message.bytes);
}

#pragma clang attribute pop

#endif
