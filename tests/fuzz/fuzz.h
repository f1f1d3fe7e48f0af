/* fuzz.h: a server that says what the fuzzer wants, and a record of all that comes out.

   A target runs one input in several ways (fuzz_ways): the server's bytes at once, one by one, or in pieces by chance,
   with and without would-block, blocking and not. All ways must end alike, in result, rows, list, log, stream and wire.

   What the server says is a text, the script. Five of its bytes mean something:

       |   here the server waits for the client: for a line (with the literals in it that need no "+"), or for the
           size of a literal that waits for its "+"
       ^   here it does not wait so long: it goes on as soon as the client has begun to send
       `   the tag of the command that the client sent last
     \x02   what stands from here to the next \x02 is said in base64; in that
     \x01   is the signature of SCRAM that the client must see (scram.h), or what it is without one, "?"

   so that an input of nothing but `+ OK` is a good server. Behind its end the server is silent, hangs up, or fails.

   The client's bytes are read by a parser of their own, which knows lines, quoted strings and literals. What is checked
   in every run stands where it is checked: look for fuzz_require(). */

#ifndef FUZZ_H
#define FUZZ_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#define IMAPCONNECT_IMPLEMENTATION
#include "../../imapconnect.h"

/* What is counted as covered is the header alone: what is in here would only lead the fuzzer astray. */
#pragma clang attribute push(__attribute__((no_sanitize("coverage"))), apply_to = function)

#include "slow.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sanitizer/asan_interface.h>

#define FUZZ_SOCKET 7 /* what our open returns */
#define FUZZ_WAYS   5

/* libFuzzer's entry point; it declares none. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- texts that grow ---- */

typedef struct fuzz_text {
    char *bytes;
    size_t count, size;
} fuzz_text;

static void fuzz_add(fuzz_text *text, const void *bytes, size_t count)
{
    if (text->count + count + 1 > text->size) {
        text->size = 2 * (text->count + count) + 256;
        text->bytes = (char *)realloc(text->bytes, text->size);
        if (text->bytes == 0)
            abort();
    }
    if (count != 0)
        memcpy(text->bytes + text->count, bytes, count);
    text->count += count;
    text->bytes[text->count] = '\0';
}

__attribute__((format(printf, 2, 3))) static void fuzz_say(fuzz_text *text, const char *format, ...)
{
    char line[600];
    int count;
    va_list arguments;
    va_start(arguments, format);
    count = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (count > 0)
        fuzz_add(text, line, (size_t)count < sizeof line ? (size_t)count : sizeof line - 1);
}

/* Without memmem(), which libFuzzer listens to: it would learn the secrets. */
static int fuzz_contains(const char *bytes, size_t count, const char *wanted, size_t size)
{
    const char *end = bytes + count, *next;
    size_t i;
    if (size == 0 || count < size)
        return size == 0;
    while ((next = (const char *)memchr(bytes, wanted[0], (size_t)(end - bytes) - size + 1)) != 0) {
        for (i = 1; i < size && next[i] == wanted[i];)
            i++;
        bytes = next + 1;
        if (i == size)
            return 1;
        if ((size_t)(end - bytes) < size)
            return 0;
    }
    return 0;
}

static int fuzz_upper(int c)
{
    return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
}

/* Does a text begin with a word, in any letter case? */
static int fuzz_begins(const char *bytes, size_t count, const char *word)
{
    size_t i;
    for (i = 0; word[i] != '\0'; i++)
        if (i >= count || fuzz_upper(bytes[i]) != fuzz_upper(word[i]))
            return 0;
    return 1;
}

/* Is a word anywhere in a text, in any letter case? */
static int fuzz_mentions(const char *bytes, size_t count, const char *word)
{
    size_t at;
    for (at = 0; at < count; at++)
        if (fuzz_begins(bytes + at, count - at, word))
            return 1;
    return 0;
}

/* ---- an input ---- */

typedef struct fuzz_input {
    const char *bytes;
    size_t count;
} fuzz_input;

/* The next option, a letter: 'A' is 0. What lies behind 'Z' goes on counting, so that each byte is an option. */
static unsigned fuzz_option(fuzz_input *input)
{
    if (input->count == 0)
        return 0;
    input->count--;
    return (uint8_t)(*input->bytes++ - 'A');
}

/* The next line, without its LF, as a text of its own that ends where it ends. To be freed. */
static char *fuzz_line(fuzz_input *input, size_t most)
{
    size_t count = 0, end;
    char *line;
    while (count < input->count && input->bytes[count] != '\n')
        count++;
    end = count < most ? count : most;
    line = (char *)malloc(end + 1);
    if (line == 0)
        abort();
    memcpy(line, input->bytes, end);
    line[end] = '\0';
    count += count < input->count;
    input->bytes += count;
    input->count -= count;
    return line;
}

static uint32_t fuzz_hash(const void *bytes, size_t count, uint32_t hash)
{
    const unsigned char *next = (const unsigned char *)bytes;
    size_t i;
    for (i = 0; i < count; i++)
        hash = (hash ^ next[i]) * 16777619u;
    return hash;
}

/* ---- the ways ---- */

enum fuzz_chunk { FUZZ_WHOLE, FUZZ_SINGLE, FUZZ_ANY };

typedef struct fuzz_way {
    const char *name;
    int nonblocking;
    int chunk;
    int blocks;     /* would-block before a step: never, before each, by chance */
    int keep_going; /* the callback is set */
    int no_wait;    /* the transport has no `wait` */
} fuzz_way;

static const fuzz_way fuzz_ways[FUZZ_WAYS] = {{"blocking, at once", 0, FUZZ_WHOLE, 0, 0, 0},
                                              {"blocking, byte by byte", 0, FUZZ_SINGLE, 1, 1, 0},
                                              {"non-blocking, at once", 1, FUZZ_WHOLE, 0, 0, 0},
                                              {"non-blocking, in pieces", 1, FUZZ_ANY, 2, 1, 0},
                                              {"blocking, in pieces, without wait", 0, FUZZ_ANY, 2, 0, 1}};

/* ---- a run ---- */

enum fuzz_end { FUZZ_SILENT, FUZZ_CLOSED, FUZZ_RESET, FUZZ_ZERO, FUZZ_UNKNOWN_NUMBER, FUZZ_ENDS };

struct fuzz_run;

/* What is the same in all ways. */
typedef struct fuzz_script {
    fuzz_text says;       /* the server; see above */
    int end;              /* enum fuzz_end */
    size_t write_limit;   /* so many bytes leave, and then there is an error; 0: no limit */
    unsigned cancel_log;  /* which log line cancels, from 1; 0: none */
    unsigned cancel_line; /* which response does */
    unsigned late_opens;  /* so often `open` answers WANT */
    int no_log;
    size_t list_size;
    int early;      /* it has a "^" */
    int log_varies; /* it has a wait for news: where in the log DONE stands is up to the pieces */
    void (*on_line)(struct fuzz_run *run, const char *line, size_t count); /* of the client, without CRLF; or 0 */
    uint32_t seed;                                                         /* for the pieces */
    char secret[20];                                                       /* in the password, and nowhere else */
    char user[20];                                                         /* in the user name */
} fuzz_script;

/* What the client has written, byte by byte. */
typedef struct fuzz_wire {
    size_t line;      /* where the present line begins */
    size_t asked;     /* how much of the stream was read when the header of a literal had left */
    uint32_t literal; /* bytes of a literal to come */
    uint32_t tag;     /* of the last command */
    char verb[24];    /* its first word */
    int waits;        /* for "+" */
    int goes_on;      /* the present line is not the first of its command */
    int quoted;
    int escaped;
    int tls; /* all from here on is TLS */
    size_t plain;
} fuzz_wire;

typedef struct fuzz_run {
    const fuzz_way *way;
    const fuzz_script *script;
    imapconnect_session *session;
    imapconnect_list list;
    fuzz_text stream; /* what the server has said, */
    size_t read;      /* how much of it was read, */
    size_t at;        /* and where in its script it is */
    fuzz_text wire;   /* what the client has */
    fuzz_wire parser;
    unsigned turns;    /* of the client: the server goes on behind each */
    size_t turned;     /* how many bytes it had sent at the last one, */
    size_t asked;      /* and the server had said */
    unsigned released; /* how many of them the server has used */
    unsigned late_opens;
    uint32_t random;    /* for pieces and would-block */
    uint32_t clock;     /* ms */
    unsigned long work; /* calls of the transport */
    const char *retry;  /* a write that did not go through must come again */
    size_t retry_count;
    int blocked; /* the last step did not go through, without a reason */
    int alternate;
    int loose;  /* the caller's own text leaves: its quotes are his */
    int broken; /* the transport has failed: nothing may be asked of it */
    int over;   /* so has the session */
    int opens, closes;
    unsigned logged, lines, rows;
    int last_event;
    fuzz_text plus[2];  /* the newest continuation that the client has taken, and one that is not whole */
    int in_response;    /* it has taken a part of one, */
    int is_plus;        /* which is a continuation; */
    int owes;           /* one is not answered */
    char signature[48]; /* what a server that knows the password says in SCRAM, once the client has proved itself; */
    unsigned char keys[4][32]; /* what nobody may see then, */
    size_t key_size;           /* so many bytes each */
    uint32_t literal;          /* of the server: bytes to come */
    int blurred; /* the session ended in the middle of a line: how much of that was taken is up to the pieces */
    int hasty;   /* it ended in a wait for news: whether DONE had left is up to the pieces */
    int utf8;    /* ENABLE UTF8=ACCEPT was sent and may be on */
    fuzz_text log;
    fuzz_text events;   /* the stream as the callback got it, with marks */
    fuzz_text answered; /* the same without */
    fuzz_text results;  /* of the calls, and what can be asked after each */
    fuzz_text outcome;  /* rows, outputs, lists */
    fuzz_text told;     /* what the present call has handed out */
    fuzz_text names;    /* of mailboxes that were handed out, NUL behind each */
} fuzz_run;

static fuzz_run fuzz_runs[FUZZ_WAYS];

/* ---- when something is wrong ---- */

static void fuzz_print(const char *title, const fuzz_text *text)
{
    size_t i;
    fprintf(stderr, "---- %s (%zu bytes)\n", title, text->count);
    for (i = 0; i < text->count; i++) {
        unsigned char c = (unsigned char)text->bytes[i];
        if (c == '\n' || (c >= 0x20 && c < 0x7f))
            fputc(c, stderr);
        else
            fprintf(stderr, c == '\r' ? "\\r" : "\\x%02x", c);
    }
    fputs("\n", stderr);
}

static void fuzz_print_run(const fuzz_run *run)
{
    fprintf(stderr, "==== %s\n", run->way->name);
    fuzz_print("server", &run->stream);
    fuzz_print("client", &run->wire);
    fuzz_print("results", &run->results);
    fuzz_print("outcome", &run->outcome);
    fuzz_print("log", &run->log);
}

static void fuzz_fail(const fuzz_run *run, const char *why, int line)
{
    if (run != 0)
        fuzz_print_run(run);
    fprintf(stderr, "FOUND at line %d: %s\n", line, why);
    abort();
}

#define fuzz_require(run, condition, why) ((condition) ? (void)0 : fuzz_fail((run), (why), __LINE__))

/* ---- the client's bytes ---- */

/* What may be on the wire before TLS is up, when the user has asked for TLS. */
static void fuzz_wire_check_clear(fuzz_run *run)
{
    const char *bytes = run->wire.bytes;
    size_t count = run->parser.plain;
    const fuzz_script *script = run->script;
    if (run->session->engine.secure == IMAPCONNECT_INSECURE || run->session->engine.encrypted)
        return;
    fuzz_require(run, !fuzz_contains(bytes, count, script->secret, strlen(script->secret)),
                 "SECURITY 3, 1: the password before TLS");
    fuzz_require(run, !fuzz_contains(bytes, count, script->user, strlen(script->user)),
                 "SECURITY 3, 1: the user name before TLS");
    fuzz_require(run, !fuzz_mentions(bytes, count, "LOGIN") && !fuzz_mentions(bytes, count, "AUTHENTICATE"),
                 "SECURITY 3, 1: a login before TLS");
}

/* The last whole line that the client has read. */
static const char *fuzz_last_line(const fuzz_run *run, size_t *count)
{
    const char *bytes = run->stream.bytes;
    size_t end = run->read, start;
    while (end > 0 && (bytes[end - 1] == '\r' || bytes[end - 1] == '\n'))
        end--;
    for (start = end; start > 0 && bytes[start - 1] != '\n';)
        start--;
    *count = end - start;
    return bytes == 0 ? "" : bytes + start;
}

/* Is the last line that the client has read this answer to its last command? */
static int fuzz_was_told(const fuzz_run *run, const char *answer)
{
    char wanted[40];
    size_t count;
    const char *line = fuzz_last_line(run, &count);
    (void)snprintf(wanted, sizeof wanted, "a%u %s", (unsigned)run->parser.tag, answer);
    return fuzz_begins(line, count, wanted) && line[0] == 'a';
}

/* The client has said what it had to say, and waits. */
static void fuzz_turn(fuzz_run *run)
{
    run->turns++;
    run->turned = run->wire.count;
    run->asked = run->stream.count;
}

/* The first byte of a ClientHello: behind the OK to STARTTLS there is nothing that was not read. */
static void fuzz_wire_tls(fuzz_run *run)
{
    const imapconnect_session *session = run->session;
    fuzz_require(run, session->engine.secure == IMAPCONNECT_STARTTLS, "TLS, and nobody asked for it");
    fuzz_require(run, strcmp(run->parser.verb, "STARTTLS") == 0 && fuzz_was_told(run, "OK"),
                 "SECURITY 3, 3: a ClientHello without OK to STARTTLS");
    fuzz_require(run, run->read == run->stream.count && session->in_at == session->in_end,
                 "SECURITY 3, 2: a ClientHello though something stands behind the OK");
    run->parser.tls = 1;
    fuzz_turn(run);
}

/* The size of a literal at the end of a line, or -1. */
static long long fuzz_wire_literal(const char *line, size_t count, int *pushes)
{
    long long size = 0;
    size_t at = count;
    if (count < 3 || line[count - 1] != '}')
        return -1;
    *pushes = line[count - 2] == '+';
    for (at = count - 1 - (size_t)*pushes; at > 0 && line[at - 1] >= '0' && line[at - 1] <= '9';)
        at--;
    if (at == 0 || line[at - 1] != '{' || at + (size_t)*pushes == count - 1)
        return -1;
    for (; line[at] >= '0' && line[at] <= '9'; at++)
        size = size * 10 + (line[at] - '0');
    return size;
}

/* The first line of a command: its tag is the next one, and one space stands behind it. */
static void fuzz_wire_command(fuzz_run *run, const char *line, size_t count)
{
    char wanted[16];
    size_t used = (size_t)snprintf(wanted, sizeof wanted, "a%u ", (unsigned)run->parser.tag + 1), i;
    fuzz_require(run, count > used && memcmp(line, wanted, used) == 0, "a line of the client without the next tag");
    run->parser.tag++;
    for (i = 0; used + i < count && line[used + i] != ' ' && i + 1 < sizeof run->parser.verb; i++)
        run->parser.verb[i] = line[used + i];
    run->parser.verb[i] = '\0';
    if (strcmp(run->parser.verb, "LOGIN") == 0 && run->turns > 1 && run->session->engine.mechanism > 1)
        fuzz_require(run, !run->session->config.refuse_cleartext, "LOGIN, though the configuration refuses it");
}

/* Lines that are no command: DONE, and those of AUTHENTICATE. */
static int fuzz_wire_is_data(const fuzz_run *run, const char *line, size_t count)
{
    size_t i;
    if (strcmp(run->parser.verb, "IDLE") == 0)
        return count == 4 && memcmp(line, "DONE", 4) == 0;
    if (strcmp(run->parser.verb, "AUTHENTICATE") != 0)
        return 0;
    if (count == 1 && line[0] == '*')
        return 1;
    for (i = 0; i < count; i++)
        if (slow_base64_value(line[i]) < 0 && line[i] != '=')
            return 0;
    return run->owes; /* it may be empty */
}

/* The line is whole. */
static void fuzz_wire_line_end(fuzz_run *run)
{
    fuzz_wire *p = &run->parser;
    const char *line = run->wire.bytes + p->line;
    size_t count = run->wire.count - p->line - 2;
    int pushes = 0;
    long long size = fuzz_wire_literal(line, count, &pushes);
    fuzz_require(run, !p->quoted || run->loose, "a line of the client ends in a quoted string");
    if (!p->goes_on && !fuzz_wire_is_data(run, line, count))
        fuzz_wire_command(run, line, count);
    if (!p->goes_on && run->script->on_line != 0)
        run->script->on_line(run, line, count);
    run->owes = 0;
    p->quoted = p->escaped = 0;
    p->goes_on = size >= 0;
    p->line = run->wire.count;
    if (size < 0) {
        fuzz_turn(run);
        return;
    }
    fuzz_require(run, size <= 0xffffffffLL, "a literal of the client's is too long");
    p->literal = (uint32_t)size;
    p->waits = !pushes;
    p->asked = run->read;
    if (p->waits)
        fuzz_turn(run);
    if (pushes)
        fuzz_require(run, fuzz_mentions(run->stream.bytes, run->stream.count, size > 4096 ? "LITERAL+" : "LITERAL"),
                     "a literal that does not wait, though the server has not offered that");
}

/* The first byte behind the header of a literal: has the server said "+" since? */
static void fuzz_wire_agreed(fuzz_run *run)
{
    size_t at;
    for (at = run->parser.asked; at < run->read; at++)
        if (run->stream.bytes[at] == '+' && (at == 0 || run->stream.bytes[at - 1] == '\n'))
            break;
    fuzz_require(run, at < run->read, "SECURITY 3, 13: a byte of a literal before the server's +");
    run->parser.waits = 0;
}

/* A byte of a line. */
static void fuzz_wire_line(fuzz_run *run, char c)
{
    fuzz_wire *p = &run->parser;
    size_t count = run->wire.count - p->line;
    int behind_cr = count > 1 && run->wire.bytes[run->wire.count - 2] == '\r';
    fuzz_require(run, c != '\0', "NUL in a line of the client");
    fuzz_require(run, behind_cr == (c == '\n'), "SECURITY 3, 12: a bare CR or LF in a line of the client");
    fuzz_require(run, (signed char)c >= 0 || run->loose || (p->quoted && run->utf8),
                 "a byte above 0x7f in a line of the client");
    if (c == '\n') {
        fuzz_wire_line_end(run);
    } else if (p->escaped) {
        p->escaped = 0;
    } else if (c == '"') {
        p->quoted = !p->quoted;
    } else if (c == '\\' && p->quoted) {
        p->escaped = 1;
    }
}

static void fuzz_wire_byte(fuzz_run *run, char c)
{
    fuzz_wire *p = &run->parser;
    fuzz_add(&run->wire, &c, 1);
    if (!p->tls && !p->goes_on && run->wire.count == p->line + 1 && c == 0x16)
        fuzz_wire_tls(run);
    if (p->tls)
        return;
    p->plain = run->wire.count;
    if (p->waits)
        fuzz_wire_agreed(run);
    if (p->literal == 0) {
        fuzz_wire_line(run, c);
        return;
    }
    p->literal--;
    p->line = run->wire.count;
}

/* A command was refused while one of its literals waited: it ends there. Otherwise it is whole. */
static void fuzz_wire_end_call(fuzz_run *run)
{
    fuzz_wire *p = &run->parser;
    if (p->waits)
        p->waits = p->goes_on = 0;
    else
        fuzz_require(run, !p->goes_on && p->line == run->wire.count,
                     "a call has ended, and its command is not whole");
    p->literal = 0;
}

/* ---- the server ---- */

/* May the server go on behind this sign? */
static int fuzz_is_time(const fuzz_run *run, char sign)
{
    if (run->turns > run->released)
        return 1;
    return sign == '^' && run->turns == run->released && run->wire.count > run->turned;
}

/* What is to be said in base64, from its beginning to its end. */
static void fuzz_release_encoded(fuzz_run *run)
{
    const fuzz_text *says = &run->script->says;
    fuzz_text plain = {0, 0, 0};
    char *encoded;
    for (run->at++; run->at < says->count && says->bytes[run->at] != '\2'; run->at++) {
        if (says->bytes[run->at] != '\1')
            fuzz_add(&plain, says->bytes + run->at, 1);
        else
            fuzz_say(&plain, "%s", run->signature[0] != '\0' ? run->signature : "?");
    }
    encoded = (char *)malloc(2 * plain.count + 8);
    if (encoded == 0)
        abort();
    fuzz_add(&run->stream, encoded, slow_base64_encode((unsigned char *)plain.bytes, plain.count, '=', encoded));
    run->at -= run->at == says->count;
    free(encoded);
    free(plain.bytes);
}

/* The server says what it can say now. */
static void fuzz_release(fuzz_run *run)
{
    const fuzz_text *says = &run->script->says;
    for (; run->at < says->count; run->at++) {
        char c = says->bytes[run->at];
        if (c == '\2') {
            fuzz_release_encoded(run);
            continue;
        }
        if (c != '|' && c != '^') {
            if (c == '`')
                fuzz_say(&run->stream, "a%u", (unsigned)run->parser.tag);
            else
                fuzz_add(&run->stream, &c, 1);
            continue;
        }
        if (!fuzz_is_time(run, c))
            return;
        run->released++;
    }
}

/* ---- the transport ---- */

/* An endless loop, or one that does far more than the bytes ask for. */
static void fuzz_work(fuzz_run *run)
{
    fuzz_require(run, ++run->work < 20000 + 64 * (run->script->says.count + run->wire.count),
                 "SECURITY 3, 21: far too much work");
}

static uint32_t fuzz_random(fuzz_run *run)
{
    run->random = run->random * 1664525u + 1013904223u;
    return run->random >> 8;
}

/* How many of so many bytes move at once. */
static size_t fuzz_chunk(fuzz_run *run, size_t count)
{
    if (run->way->chunk == FUZZ_WHOLE || count == 0)
        return count;
    return run->way->chunk == FUZZ_SINGLE ? 1 : 1 + fuzz_random(run) % (count < 40 ? count : 40);
}

/* Does this step answer WANT for once, though it need not? */
static int fuzz_blocks(fuzz_run *run)
{
    if (run->way->blocks == 0)
        return 0;
    run->alternate = run->way->blocks == 1 ? !run->alternate : fuzz_random(run) % 3 == 0;
    run->blocked = run->alternate;
    return run->alternate;
}

/* May a read answer WANT though there is something? Not where the library looks for what should not be there, nor where
   it would go on without it: what is there before it sends must be read before it sends. */
static int fuzz_may_block(const fuzz_run *run)
{
    const imapconnect_session *session = run->session;
    const imapconnect_engine *engine = &session->engine;
    if (engine->writer.sent < engine->writer.used || engine->state == IMC_SECURING)
        return 0;
    return engine->state != IMC_IDLE || (!engine->enough && imc_session_left(session) > 0);
}

static int fuzz_has_ended(const fuzz_run *run)
{
    return run->at == run->script->says.count && run->script->end != FUZZ_SILENT;
}

/* The script is at its end. */
static int fuzz_end(fuzz_run *run)
{
    static const int numbers[FUZZ_ENDS] = {IMAPCONNECT_WANT_READ, IMAPCONNECT_CLOSED, IMAPCONNECT_E_RESET, 0, -77777};
    if (!fuzz_has_ended(run)) {
        if (run->way->no_wait && run->session->engine.writer.sent == run->session->engine.writer.used)
            run->clock += 1000; /* or nothing would ever end */
        return IMAPCONNECT_WANT_READ;
    }
    run->broken = 1;
    return numbers[run->script->end];
}

static int fuzz_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    fuzz_run *run = (fuzz_run *)context;
    fuzz_work(run);
    fuzz_require(run, strcmp(host, "imap.example.org") == 0 && port == 143, "another host, or another port");
    fuzz_require(run, *milliseconds > 0, "no time left to connect");
    run->opens = 1;
    if (run->late_opens < run->script->late_opens) {
        run->late_opens++;
        run->blocked = 1;
        return IMAPCONNECT_WANT_WRITE;
    }
    return FUZZ_SOCKET;
}

static int fuzz_read(void *context, void *bytes, size_t count)
{
    fuzz_run *run = (fuzz_run *)context;
    size_t available;
    fuzz_work(run);
    fuzz_require(run, !run->broken && !run->over && run->opens > run->closes, "a read after the end");
    fuzz_require(run, !run->session->engine.writer.borrowed || !run->session->engine.reader.early,
                 "the reply has the buffer, and the command has not left");
    fuzz_release(run);
    ASAN_UNPOISON_MEMORY_REGION(bytes, count);
    available = run->stream.count - run->read;
    if (available == 0)
        return fuzz_end(run);
    if (fuzz_may_block(run) && fuzz_blocks(run))
        return IMAPCONNECT_WANT_READ;
    available = available < count ? available : count;
    available = fuzz_chunk(run, available);
    memcpy(bytes, run->stream.bytes + run->read, available);
    if (bytes == run->session->in) /* nobody may read what did not come */
        ASAN_POISON_MEMORY_REGION((char *)bytes + available, count - available);
    run->read += available;
    return (int)available;
}

/* A transport may rely on it that what it did not take comes again. */
static void fuzz_check_retry(fuzz_run *run, const void *bytes, size_t count)
{
    if (run->retry != 0)
        fuzz_require(run, run->retry == bytes && run->retry_count == count,
                     "a write that did not go through came again with other arguments");
    run->retry = 0;
}

static int fuzz_write(void *context, const void *bytes, size_t count)
{
    fuzz_run *run = (fuzz_run *)context;
    const fuzz_script *script = run->script;
    size_t i;
    fuzz_work(run);
    fuzz_require(run, !run->broken && !run->over && run->opens > run->closes,
                 "SECURITY 3, 10: something is written after an error");
    fuzz_require(run, count > 0, "a write of nothing");
    fuzz_require(run, !run->session->engine.writer.borrowed, "written from the buffer that the reply has");
    fuzz_check_retry(run, bytes, count);
    if (!script->early && fuzz_blocks(run)) {
        run->retry = (const char *)bytes;
        run->retry_count = count;
        return IMAPCONNECT_WANT_WRITE;
    }
    if (script->write_limit != 0 && run->wire.count >= script->write_limit) {
        run->broken = 1;
        return script->write_limit % 2 != 0 ? IMAPCONNECT_E_RESET : IMAPCONNECT_CLOSED;
    }
    if (!script->early)
        count = fuzz_chunk(run, count);
    if (script->write_limit != 0 && count > script->write_limit - run->wire.count)
        count = script->write_limit - run->wire.count;
    for (i = 0; i < count; i++)
        fuzz_wire_byte(run, ((const char *)bytes)[i]);
    fuzz_wire_check_clear(run);
    return (int)count;
}

/* Time passes, unless there is something to do: for `wait`, and for the loop around imapconnect_step(). */
static void fuzz_pass(fuzz_run *run, int what, uint32_t milliseconds)
{
    int blocked = run->blocked;
    run->blocked = 0;
    if (blocked || (what & IMAPCONNECT_WRITABLE) != 0)
        return;
    fuzz_release(run);
    if ((what & IMAPCONNECT_READABLE) != 0 && (run->read < run->stream.count || fuzz_has_ended(run)))
        return;
    run->clock += milliseconds;
}

static int fuzz_wait(void *context, int what, uint32_t milliseconds)
{
    fuzz_run *run = (fuzz_run *)context;
    fuzz_work(run);
    fuzz_require(run, !run->way->nonblocking, "a non-blocking session waits");
    fuzz_require(run, !run->broken && !run->over, "a wait after the end");
    fuzz_pass(run, what, milliseconds);
    return 0;
}

static void fuzz_close(void *context)
{
    fuzz_run *run = (fuzz_run *)context;
    run->closes++;
    fuzz_require(run, run->closes <= run->opens, "SECURITY 3, 32: closed more than once");
    ASAN_UNPOISON_MEMORY_REGION(run->session->in, sizeof run->session->in);
}

/* ---- the other callbacks ---- */

static uint32_t fuzz_clock(void *user)
{
    return ((const fuzz_run *)user)->clock;
}

static int fuzz_keep_going(void *user)
{
    fuzz_work((fuzz_run *)user);
    return 0;
}

/* Whoever calls from a callback is told that the session is busy, and nothing else happens. */
static void fuzz_call_from_callback(fuzz_run *run)
{
    fuzz_require(run, imapconnect_noop(run->session, 0) == IMAPCONNECT_E_BUSY, "a call from a callback is let in");
    fuzz_require(run, imapconnect_step(run->session) == IMAPCONNECT_E_BUSY, "a step from a callback is let in");
}

static int fuzz_log(void *user, int direction, const char *bytes, size_t count)
{
    fuzz_run *run = (fuzz_run *)user;
    size_t i;
    fuzz_require(run, count <= IMAPCONNECT_LOG_SIZE && count > 0, "a log line is too long, or empty");
    for (i = 0; i < count; i++)
        fuzz_require(run, bytes[i] >= 0x20 && bytes[i] < 0x7f, "SECURITY 3, 26: the log is not printable");
    fuzz_say(&run->log, "%d ", direction);
    fuzz_add(&run->log, bytes, count);
    fuzz_add(&run->log, "\n", 1);
    fuzz_call_from_callback(run);
    if (direction & IMAPCONNECT_LOG_MORE)
        return 0; /* how much of a line is read when it cancels in its middle, is up to the pieces */
    return ++run->logged == run->script->cancel_log;
}

/* Is the order of the events right, and is a literal as long as was said? */
static void fuzz_check_event(fuzz_run *run, int event, const char *bytes, size_t count)
{
    switch (event) {
    case IMAPCONNECT_LINE:
        fuzz_require(run,
                     count > 0 && run->literal == 0 && run->last_event != IMAPCONNECT_LITERAL &&
                         run->last_event != IMAPCONNECT_LITERAL_BEGIN,
                     "a line in a literal");
        break;
    case IMAPCONNECT_LITERAL_BEGIN:
        run->literal = (uint32_t)count;
        fuzz_require(run, memcmp(bytes, "\r\n", 2) == 0, "CRLF before a literal");
        break;
    case IMAPCONNECT_LITERAL:
        fuzz_require(run, count > 0 && count <= run->literal, "a literal is longer than it says");
        run->literal -= (uint32_t)count;
        break;
    case IMAPCONNECT_LITERAL_END:
        fuzz_require(run, run->literal == 0, "a literal is shorter than it says");
        break;
    default:
        fuzz_require(run, event == IMAPCONNECT_LINE_END && count == 2 && memcmp(bytes, "\r\n", 2) == 0,
                     "an event that cannot be");
    }
}

/* The newest continuation is kept, once it is whole: an exchange rests on it. */
static void fuzz_keep_plus(fuzz_run *run, int event, const char *bytes, size_t count)
{
    fuzz_text *begun = &run->plus[1], whole = run->plus[1];
    if (event == IMAPCONNECT_LINE && !run->in_response) {
        run->is_plus = bytes[0] == '+';
        begun->count = 0;
    }
    run->in_response = event != IMAPCONNECT_LINE_END;
    if (event == IMAPCONNECT_LINE && run->is_plus)
        fuzz_add(begun, bytes, count);
    if (event == IMAPCONNECT_LINE_END && run->is_plus) {
        *begun = run->plus[0];
        run->plus[0] = whole;
        run->owes = 1;
        run->is_plus = 0;
    }
}

static int fuzz_on_response(void *user, int event, const char *bytes, size_t count)
{
    fuzz_run *run = (fuzz_run *)user;
    int begins = event == IMAPCONNECT_LITERAL_BEGIN;
    fuzz_check_event(run, event, bytes, count);
    fuzz_keep_plus(run, event, bytes, count);
    if (event != run->last_event)
        fuzz_say(&run->events, "<%d %zu>", event, begins ? count : 0);
    run->last_event = event;
    if (bytes != 0) {
        fuzz_add(&run->events, bytes, begins ? 2 : count);
        fuzz_add(&run->answered, bytes, begins ? 2 : count);
    }
    fuzz_call_from_callback(run);
    return event == IMAPCONNECT_LINE_END && ++run->lines == run->script->cancel_line;
}

/* ---- secrets ---- */

/* Does a text hold these bytes: as they are, in hex, in base64 at each of three places in a group? */
static int fuzz_has_bytes(const char *bytes, size_t count, const unsigned char *secret, size_t size)
{
    unsigned char shifted[40];
    char other[80];
    size_t i, k;
    if (fuzz_contains(bytes, count, (const char *)secret, size))
        return 1;
    for (i = 0; i < size; i++)
        (void)snprintf(other + 2 * i, 3, "%02x", (unsigned)secret[i]);
    if (fuzz_contains(bytes, count, other, 2 * size))
        return 1;
    for (k = 0; k < 3; k++) {
        memset(shifted, 0, sizeof shifted);
        memcpy(shifted + k, secret, size);
        i = slow_base64_encode(shifted, k + size, 0, other);
        if (fuzz_contains(bytes, count, other + 2 * k, i - 2 * k - 1)) /* what the neighbours touch is left out */
            return 1;
    }
    return 0;
}

static int fuzz_has_secret(const char *bytes, size_t count, const char *secret)
{
    return fuzz_has_bytes(bytes, count, (const unsigned char *)secret, strlen(secret));
}

/* The keys of SCRAM are as good as the password, too. */
static int fuzz_has_key(const fuzz_run *run, const char *bytes, size_t count)
{
    size_t i;
    for (i = 0; run->key_size != 0 && i < sizeof run->keys / sizeof run->keys[0]; i++)
        if (fuzz_has_bytes(bytes, count, run->keys[i], run->key_size))
            return 1;
    return 0;
}

/* The answer to a challenge is as good as the password: it stands on the wire, and must stand nowhere else. So is what
   goes with AUTHENTICATE. */
static int fuzz_has_answer(const fuzz_run *run, const char *bytes, size_t count)
{
    const fuzz_text *wire = &run->wire;
    size_t at, end, start;
    for (at = 0; at < run->parser.plain; at = end + 1) {
        for (end = at; end < run->parser.plain && wire->bytes[end] != '\n';)
            end++;
        for (start = end; start > at && wire->bytes[start - 1] != ' ';)
            start--;
        if (end - start > 40 && slow_base64_value(wire->bytes[start]) >= 0 && wire->bytes[end - 1] == '\r' &&
            (start == at || fuzz_mentions(wire->bytes + at, start - at, "AUTHENTICATE")) &&
            fuzz_contains(bytes, count, wire->bytes + start, end - 1 - start))
            return 1;
    }
    return 0;
}

/* Any of them. */
static int fuzz_leaks(const fuzz_run *run, const char *bytes, size_t count)
{
    return fuzz_has_secret(bytes, count, run->script->secret) || fuzz_has_key(run, bytes, count) ||
           fuzz_has_answer(run, bytes, count);
}

static void fuzz_check_secrets(fuzz_run *run)
{
    const char *secret = run->script->secret;
    const imapconnect_session *session = run->session;
    if (fuzz_has_secret(run->stream.bytes, run->stream.count, secret))
        return; /* it was the server who said it */
    fuzz_require(run, !fuzz_leaks(run, run->log.bytes, run->log.count), "SECURITY 3, 26: a secret in the log");
    fuzz_require(run, !fuzz_leaks(run, run->outcome.bytes, run->outcome.count), "a secret in the list");
    fuzz_require(run, !fuzz_leaks(run, run->results.bytes, run->results.count), "a secret in the server's text");
    ASAN_UNPOISON_MEMORY_REGION(run->session->in, sizeof run->session->in);
    fuzz_require(run, !fuzz_leaks(run, (const char *)session, sizeof *session),
                 "SECURITY 3, 27: a secret is left in the session");
}

/* ---- calls ---- */

/* Every entry ends in NUL, the count is right, nothing lies outside. What it says goes to the record. */
static void fuzz_check_list(fuzz_run *run)
{
    const imapconnect_list *list = &run->list;
    const char *entry = 0;
    size_t count = 0, used = 0;
    fuzz_require(run, list->used <= list->size && list->size == run->script->list_size, "the list is too long");
    while ((entry = imapconnect_list_next(list, entry)) != 0) {
        count++;
        used += strlen(entry) + 1;
        fuzz_add(&run->outcome, entry, strlen(entry));
        fuzz_add(&run->outcome, "\n", 1);
    }
    fuzz_require(run, list->truncated || !list->cut, "a list with a cut entry that is not truncated");
    fuzz_require(run, used == list->used, "the entries of the list are not all of it");
    fuzz_require(run, count == list->count, "the list counts wrong");
    fuzz_say(&run->outcome, "(%d %d %d)\n", list->truncated, list->cut, list->unfinished);
}

/* What can be asked after a call. */
static void fuzz_ask(fuzz_run *run, const char *what, int result)
{
    const imapconnect_session *session = run->session;
    const char *phase = imapconnect_phase(session);
    if (run->script->log_varies && strcmp(phase, "command") == 0)
        phase = "idle"; /* the same reason */
    fuzz_say(&run->results, "%s %d: %s/%s/%s/%s %d %d\n", what, result, imapconnect_answer(session), phase,
             imapconnect_mechanism(session), imapconnect_code_name(result), imapconnect_is_open(session),
             imapconnect_socket(session));
    fuzz_say(&run->results, "[%s] %s\n", imapconnect_response_code(session), imapconnect_server_text(session));
    fuzz_require(run,
                 strlen(imapconnect_response_code(session)) < IMAPCONNECT_CODE_SIZE &&
                     strlen(imapconnect_server_text(session)) < IMAPCONNECT_TEXT_SIZE,
                 "code or text without an end");
}

/* Every byte that was taken came to on_response, once and in order; all of them, unless the session is over. */
static void fuzz_check_stream(fuzz_run *run)
{
    const imapconnect_session *session = run->session;
    size_t taken = run->read - (size_t)(session->in_end - session->in_at), count = run->answered.count;
    fuzz_require(
        run, count <= run->stream.count && (count == 0 || memcmp(run->answered.bytes, run->stream.bytes, count) == 0),
        "on_response got other bytes than the server said");
    if (taken > 0 && run->stream.bytes[taken - 1] == '\r' && count + 1 == taken)
        taken--; /* it comes with its LF */
    if (imapconnect_is_open(session))
        fuzz_require(run, count == taken, "on_response did not get all that was read");
}

/* The session is over: every call says so, and sends nothing. */
static void fuzz_check_over(fuzz_run *run, int result)
{
    imapconnect_session *session = run->session;
    run->over = 1;
    run->blurred = result == IMAPCONNECT_E_RECEIVE_LENGTH;
    run->hasty = result == IMAPCONNECT_E_LIMIT && run->script->log_varies;
    fuzz_require(run, run->closes == run->opens, "the session is over, and the connection is open");
    fuzz_require(run, !imapconnect_is_open(session), "the session is over, and open");
    fuzz_require(run,
                 imapconnect_noop(session, 0) == result && imapconnect_step(session) == result &&
                     imapconnect_command(session, "NOOP", 0) == result,
                 "the first error does not stay");
}

/* A call of a non-blocking session goes on until it has its result. */
static int fuzz_go_on(fuzz_run *run, int result)
{
    imapconnect_session *session = run->session;
    while (result == IMAPCONNECT_PENDING) {
        uint32_t milliseconds = 0;
        int what = imapconnect_wants(session, &milliseconds);
        fuzz_work(run);
        fuzz_require(run, run->way->nonblocking, "PENDING in a blocking session");
        fuzz_require(run, imapconnect_noop(session, 0) == IMAPCONNECT_E_BUSY, "a second call is let in");
        if (milliseconds != 0)
            fuzz_pass(run, what, milliseconds);
        result = imapconnect_step(session);
    }
    return result;
}

/* What each call ends with; `result` is what it returned at first. Returns its result. */
static int fuzz_result(fuzz_run *run, const char *what, int result)
{
    result = fuzz_go_on(run, result);
    fuzz_require(run, result >= 0 || imapconnect_code_name(result)[0] != '\0', "a result that is not in the table");
    fuzz_require(run, result > -1400 || result < -1402, "a number that is no result");
    fuzz_ask(run, what, result);
    fuzz_check_list(run);
    run->retry = 0;
    if (run->session->engine.error != 0)
        fuzz_check_over(run, result);
    else if (imapconnect_is_open(run->session) && result != IMAPCONNECT_E_BUSY)
        fuzz_wire_end_call(run);
    fuzz_check_stream(run);
    fuzz_check_secrets(run);
    return result;
}

/* ---- a run from its beginning to its end ---- */

static void fuzz_config(const fuzz_run *run, imapconnect_config *config)
{
    imapconnect_config_init(config);
    config->user = (void *)(uintptr_t)run;
    config->on_response = fuzz_on_response;
    config->clock = fuzz_clock;
    config->keep_going = run->way->keep_going ? fuzz_keep_going : 0;
    config->nonblocking = run->way->nonblocking;
    config->transport.context = (void *)(uintptr_t)run;
    config->transport.open = fuzz_open;
    config->transport.read = fuzz_read;
    config->transport.write = fuzz_write;
    config->transport.wait = run->way->no_wait ? 0 : fuzz_wait;
    config->transport.close = fuzz_close;
}

static void fuzz_clear(fuzz_run *run)
{
    fuzz_text kept[10];
    fuzz_text *const texts[10] = {&run->stream,  &run->wire, &run->log,     &run->events,  &run->answered,
                                  &run->outcome, &run->told, &run->results, &run->plus[0], &run->plus[1]};
    size_t i;
    for (i = 0; i < 10; i++)
        kept[i] = *texts[i];
    free(run->names.bytes);
    memset(run, 0, sizeof *run);
    for (i = 0; i < 10; i++) {
        *texts[i] = kept[i];
        texts[i]->count = 0;
        fuzz_add(texts[i], "", 0);
    }
}

/* Makes the session of a run; the caller may change the configuration before imapconnect_init(). */
static void fuzz_begin(fuzz_run *run, const fuzz_script *script, const fuzz_way *way)
{
    fuzz_clear(run);
    run->way = way;
    run->script = script;
    run->random = script->seed;
    run->clock = 0xfffff000u; /* it wraps soon */
    run->session = (imapconnect_session *)malloc(sizeof *run->session);
    if (run->session == 0)
        abort();
    memset(run->session, 0xa5, sizeof *run->session);
    imapconnect_list_init(&run->list, (char *)malloc(script->list_size), script->list_size);
}

/* Logs in with what the script says. */
static int fuzz_connect(fuzz_run *run, const char *user, const char *password, int secure)
{
    int result = imapconnect(run->session, "imap.example.org", user, password, run->script->no_log ? 0 : fuzz_log,
                             &run->list, secure, IMAPCONNECT_NO_VERIFY);
    return fuzz_result(run, "connect", result);
}

/* Closes, twice, and looks at what is left. */
static void fuzz_finish(fuzz_run *run)
{
    imapconnect_session *session = run->session;
    imapconnect_close(session);
    imapconnect_close(session);
    fuzz_require(run, run->closes == run->opens, "SECURITY 3, 32: not closed, or more than once");
    fuzz_require(run, imapconnect_noop(session, 0) == IMAPCONNECT_E_NOT_OPEN, "a closed session is open");
    fuzz_check_secrets(run);
    free(session);
    free(run->list.text);
    run->session = 0;
    run->list.text = 0;
}

static void fuzz_same(const fuzz_run *a, const fuzz_run *b, const fuzz_text *of_a, const fuzz_text *of_b,
                      const char *what)
{
    if (of_a->count == of_b->count && (of_a->count == 0 || memcmp(of_a->bytes, of_b->bytes, of_a->count) == 0))
        return;
    fuzz_print_run(a);
    fuzz_print("events", &a->events);
    fuzz_print_run(b);
    fuzz_print("events", &b->events);
    fuzz_fail(0, what, __LINE__);
}

/* SECURITY 3, 23: every way gives the same. With FUZZ_SHOW in the environment the first one is printed. */
static void fuzz_compare(void)
{
    fuzz_run *a = &fuzz_runs[0];
    size_t i;
    if (getenv("FUZZ_SHOW") != 0)
        fuzz_print_run(a);
    for (i = 1; i < FUZZ_WAYS; i++) {
        fuzz_run *b = &fuzz_runs[i];
        a->wire.count = a->parser.plain; /* a ClientHello is another one each time */
        b->wire.count = b->parser.plain;
        if (!a->hasty)
            fuzz_same(a, b, &a->wire, &b->wire, "SECURITY 3, 23: other bytes leave");
        fuzz_same(a, b, &a->results, &b->results, "SECURITY 3, 23: another result");
        if (a->blurred)
            continue;
        fuzz_same(a, b, &a->outcome, &b->outcome, "SECURITY 3, 23: another row, output or list");
        if (!a->script->log_varies)
            fuzz_same(a, b, &a->log, &b->log, "SECURITY 3, 23: another log");
        fuzz_same(a, b, &a->events, &b->events, "SECURITY 3, 23: another stream");
    }
}

/* What all scripts begin with: four options, and the secrets. */
static void fuzz_script_begin(fuzz_script *script, fuzz_input *input)
{
    static const size_t sizes[] = {4096, 0, 1, 2, 40, 300};
    fuzz_text says = script->says;
    uint32_t hash = fuzz_hash(input->bytes, input->count, 2166136261u);
    unsigned cancels;
    memset(script, 0, sizeof *script);
    script->says = says;
    script->says.count = 0;
    (void)snprintf(script->secret, sizeof script->secret, "P%08x", (unsigned)hash);
    (void)snprintf(script->user, sizeof script->user, "U%08x", (unsigned)fuzz_hash("u", 1, hash));
    script->end = (int)(fuzz_option(input) % FUZZ_ENDS);
    script->list_size = sizes[fuzz_option(input) % (sizeof sizes / sizeof sizes[0])];
    cancels =
        fuzz_option(input); /* A: none; B, C, D, ...: a log line, a response, WANT when opening, no log, in turn */
    if (cancels % 4 == 1)
        script->cancel_log = cancels / 4 + 1;
    else if (cancels % 4 == 2)
        script->cancel_line = cancels / 4 + 1;
    else if (cancels % 4 == 3)
        script->late_opens = cancels / 4 % 4 + 1;
    else
        script->no_log = cancels / 4 % 2 != 0;
    script->write_limit = fuzz_option(input);
    script->seed = hash;
}

/* The rest of an input is the server's. */
static void fuzz_script_end(fuzz_script *script, const fuzz_input *input)
{
    fuzz_add(&script->says, input->bytes, input->count);
    script->early = fuzz_contains(script->says.bytes, script->says.count, "^", 1);
}

#pragma clang attribute pop

#endif
