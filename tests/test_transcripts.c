/* Replays the dialogues in tests/transcripts/. Their format is described in the README.md there.

   Each file is one test, and each test is replayed in many ways: the server's bytes in pieces of every size,
   cut once at every place, with would-block before every step, in a blocking and in a non-blocking session.
   All ways must give the same result, list and log, and put the same bytes on the wire (SECURITY.md section
   3, 23 and 29). Dialogues in clear go through TLS and STARTTLS as well, with a server of wolfSSL in this process.
   Each dialogue is cut off at every byte, too. With DEEP in the environment there is more of all that. Compiled with
   -DONCE each is replayed at once and byte by byte alone, and nothing is done inside TLS: for tools under which the whole
   takes too long.

   Usage: test_transcripts [FOLDER or FILE]; else $TRANSCRIPTS, else tests/transcripts. */

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/random.h>

#ifdef ONCE
enum { IS_ONCE = 1 };
#else
enum { IS_ONCE = 0 };
#endif

#ifndef IMAPCONNECT_NO_SASL
/* The nonce of SCRAM is always "AAECAwQFBgcICQoLDA0ODxAR", and one iteration is enough: the rest is in test_sasl.c. */
static int fixed_random(WC_RNG *rng, byte *bytes, word32 count)
{
    (void)rng;
    for (word32 i = 0; i < count; i++)
        bytes[i] = (byte)i;
    return 0;
}
#define wc_RNG_GenerateBlock fixed_random
#define IMC_MIN_ITERATIONS   1u
#endif

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"
#include "tunnel.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#endif

#define MAX_FILES    1500
#define MAX_STEPS    32
#define MAX_SEGMENTS 600
#define MAX_TEXTS    400
#define MAX_SECRETS  24
#define MAX_STRINGS  3 /* arguments of one call that are strings */
#define MAX_NUMBERS  3 /* the same, numbers */
#define ARENA_SIZE   (1u << 20)
#define RECORD_SIZE  (1u << 19)
#define SOCKET       7    /* what our transport's open returns */
#define SPLIT_LIMIT  4096 /* longer dialogues are not cut at every place */
#define PATIENCE     40   /* reads in vain before the clock jumps */
#define FAULT_LIMIT  50
#define NO_TIME      0xffffffffu
#define PAIR_LIMIT   64    /* the same, twice */
#define DEEP_LIMIT   300   /* the same, with DEEP */
#define TURN_LIMIT   20000 /* reads in vain, or steps, before a session counts as stuck */

/* ---- a dialogue, as it is read from its file ------------------------------------------------------- */

typedef struct text {
    const char *bytes;
    size_t count;
} text;

/* The kinds of segment. On the client's side only BYTES and TLS occur. */
enum { BYTES, TLS, END, RESET };

/* A run of bytes from one side. `after` says where in the dialogue it stands: a client's segment behind so
   many bytes of the server, a server's segment behind so many segments of the client. */
typedef struct segment {
    int kind, line, step;
    text data;
    size_t after;
    uint32_t time; /* ms after its call began: not before that; NO_TIME: any */
} segment;

/* The calls; see `calls`. Three groups: of the session, of mailboxes, of messages. */
enum { CONNECT, NOOP, COMMAND, DISCONNECT, CLOSE, CHECK, ID, ENABLE, IDLE };
enum {
    SELECT = IDLE + 1,
    EXAMINE,
    CLOSE_MAILBOX,
    UNSELECT,
    LIST,
    LSUB,
    CREATE,
    DELETE,
    SUBSCRIBE,
    UNSUBSCRIBE,
    RENAME,
    STATUS,
    NAMESPACES
};
enum { MESSAGES = NAMESPACES + 1, HEADERS, MESSAGE, PART, FLAGS, EXPUNGE, COPY, MOVE, SEARCH, APPEND };

/* The flags that can be set, in the order of imapconnect_set_message_flags(). */
enum { ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, CHANGES };

/* What can be asked of the session after a call. The order is that of `questions`. */
enum { SAID, CODE, REASON, MECHANISM, ANSWER, PHASE, QUESTIONS };

/* One call of the library, and what must come out. */
typedef struct step {
    int what, line, result, has_result;
    const char *strings[MAX_STRINGS]; /* 0: NIL */
    uint32_t numbers[MAX_NUMBERS];
    int changes[CHANGES];
    const imapconnect_flags *flags;
    int by, mark_seen, no_callback;
    text source; /* what APPEND is given */
    size_t lists, list_count, logs, log_count, rows, row_count;
    int has_list, has_log, truncated, open, over;
    text sink;                      /* what must go there; no bytes: it must not be called */
    const char *out;                /* what the output must hold; 0: none is given to the call */
    int stop;                       /* the callback says stop after so many rows, or bytes; -1: never */
    int stop_wait;                  /* with this row imapconnect_idle_stop() is called */
    int given;                      /* so many bytes are taken from the source; -1: all, when the result is good */
    uint32_t took;                  /* ms; NO_TIME: not asked */
    const char *answers[QUESTIONS]; /* 0: not asked */
} step;

typedef struct transcript {
    const char *server, *user, *password;
    int secure, verify, refuse_cleartext, at_once, opened, list_size, max_reply;
    int timeout, idle_renew, idle_poll, log_varies, auth, iterations;
    segment client[MAX_SEGMENTS], peer[MAX_SEGMENTS];
    size_t client_count, peer_count, peer_bytes;
    step steps[MAX_STEPS];
    size_t step_count;
    text lists[MAX_TEXTS], logs[MAX_TEXTS], rows[MAX_TEXTS];
    size_t list_count, log_count, row_count;
    imapconnect_flags flags[MAX_STEPS];
    text secrets[MAX_SECRETS];
    size_t secret_count;
    int has_tls;
    int is_tunnelled; /* made of one in clear: a server inside TLS says it */
    char arena[ARENA_SIZE];
    size_t arena_used;
} transcript;

/* Where the parser is, for its messages. */
typedef struct reader {
    transcript *t;
    const char *file;
    int line;
    size_t offset; /* where the directive stores its value */
    uint32_t time; /* of the lines that follow */
} reader;

static void bad_transcript(const reader *r, const char *why, const char *what)
{
    fail_msg("%s:%d: %s: %s", r->file, r->line, why, what);
}

static char *allot(reader *r, size_t count)
{
    char *bytes = r->t->arena + r->t->arena_used;

    if (count > ARENA_SIZE - r->t->arena_used)
        bad_transcript(r, "too large", "");
    r->t->arena_used += count;
    return bytes;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *at = c ? strchr(digits, c) : 0;

    return at ? (int)(at - digits) : -1;
}

/* One escape behind its backslash. Returns how many characters of `from` it took. */
static size_t unescape_one(reader *r, const char *from, char *to)
{
    switch (*from) {
    case 'r':
        *to = '\r';
        return 1;
    case 'n':
        *to = '\n';
        return 1;
    case '0':
        *to = '\0';
        return 1;
    case '\\':
    case '"':
        *to = *from;
        return 1;
    case 'x':
        if (hex_digit(from[1]) >= 0 && hex_digit(from[2]) >= 0) {
            *to = (char)(hex_digit(from[1]) * 16 + hex_digit(from[2]));
            return 3;
        }
        break;
    default:
        break;
    }
    bad_transcript(r, "unknown escape", from);
    return 0;
}

/* Appends the decoded bytes of `from` up to `end` to the arena. */
static void unescape_run(reader *r, const char *from, const char *end)
{
    while (from < end) {
        char *to = allot(r, 1);

        if (*from != '\\')
            *to = *from++;
        else
            from += 1 + unescape_one(r, from + 1, to);
    }
}

/* Appends the text of \*N(text) N times; `from` is behind the star. Returns what is behind the parenthesis.
 */
static const char *unescape_repeated(reader *r, const char *from)
{
    char *open = 0;
    unsigned long times = strtoul(from, &open, 10);
    const char *close = *open == '(' ? strchr(open, ')') : 0;

    if (!close) {
        bad_transcript(r, "bad repetition", from);
        return from;
    }
    for (; times; times--)
        unescape_run(r, open + 1, close);
    return close + 1;
}

/* Decodes a whole value. A NUL that is not counted is put behind it. */
static text unescape(reader *r, const char *from)
{
    text result = {r->t->arena + r->t->arena_used, 0};

    while (*from) {
        const char *end = from + (*from == '\\' && from[1] ? 2 : 1);

        if (*from == '\\' && from[1] == '*') {
            from = unescape_repeated(r, from + 2);
            continue;
        }
        if (*from == '\\' && from[1] == 'x')
            end += 2;
        unescape_run(r, from, end);
        from = end;
    }
    result.count = (size_t)(r->t->arena + r->t->arena_used - result.bytes);
    *allot(r, 1) = '\0';
    return result;
}

static const char *unescape_string(reader *r, const char *value)
{
    return unescape(r, value).bytes;
}

static step *last_step(const reader *r)
{
    if (r->t->step_count == 0)
        bad_transcript(r, "stands before the first call", "");
    return &r->t->steps[r->t->step_count - 1];
}

static text add_line_end(reader *r, const char *value, int raw)
{
    text data = unescape(r, value);

    if (!raw) {
        r->t->arena_used--; /* the NUL */
        memcpy(allot(r, 3), "\r\n", 3);
        data.count += 2;
    }
    return data;
}

static void add_client(reader *r, int kind, text data)
{
    segment *s = &r->t->client[r->t->client_count];

    last_step(r);
    if (r->t->client_count == MAX_SEGMENTS)
        bad_transcript(r, "too many lines", "");
    s->kind = kind;
    s->line = r->line;
    s->step = (int)r->t->step_count - 1;
    s->data = data;
    s->after = r->t->peer_bytes;
    s->time = r->time;
    r->t->client_count++;
}

static void add_peer(reader *r, int kind, text data)
{
    segment *s = &r->t->peer[r->t->peer_count];

    last_step(r);
    if (r->t->peer_count == MAX_SEGMENTS)
        bad_transcript(r, "too many lines", "");
    s->kind = kind;
    s->line = r->line;
    s->step = (int)r->t->step_count - 1;
    s->data = data;
    s->after = r->t->client_count;
    s->time = r->time;
    r->t->peer_bytes += data.count;
    r->t->peer_count++;
}

static void parse_client_event(reader *r, const char *value)
{
    text none = {0, 0};

    if (strcmp(value, "TLS") != 0)
        bad_transcript(r, "unknown event", value);
    r->t->has_tls = 1;
    add_client(r, TLS, none);
}

static void parse_peer_event(reader *r, const char *value)
{
    text none = {0, 0};

    if (strcmp(value, "EOF") != 0 && strcmp(value, "RESET") != 0)
        bad_transcript(r, "unknown event", value);
    add_peer(r, *value == 'E' ? END : RESET, none);
}

/* ---- the directives ---- */

typedef struct named_number {
    const char *name;
    int number;
} named_number;

static const named_number results[] = {
#define RESULT_ROW(name, number, fatal, text) {#name, number},
    IMAPCONNECT_CODES(RESULT_ROW)
#undef RESULT_ROW
        {"socket", SOCKET},
    {"0", 0},
    {"1", 1},
};

static int look_up(reader *r, const named_number *table, size_t count, const char *name, size_t length)
{
    for (; count; count--, table++) {
        if (strlen(table->name) == length && memcmp(table->name, name, length) == 0)
            return table->number;
    }
    bad_transcript(r, "unknown name", name);
    return 0;
}

/* ---- the arguments of a call ---- */

/* One argument: a word, or what stands in double quotes or in parentheses, those left out. Moves `*at` behind it and
   the space that follows. Returns its first character, a NUL at the end of the line. */
static char next_argument(reader *r, const char **at, text *argument)
{
    const char *from = *at, *end = from;
    char kind = *from;

    if (kind == '"') {
        for (end = ++from; *end && *end != '"'; end++)
            end += *end == '\\' && end[1] != '\0';
    } else if (kind == '(') {
        from++;
        end = from + strcspn(from, ")");
    } else {
        end += strcspn(from, " ");
    }
    argument->bytes = from;
    argument->count = (size_t)(end - from);
    if ((kind == '"' || kind == '(') && *end++ == '\0')
        bad_transcript(r, "not closed", from);
    if (*end != '\0' && *end++ != ' ')
        bad_transcript(r, "no space between arguments", from);
    *at = end;
    return kind;
}

static int is_word(const text *argument, const char *word)
{
    return strlen(word) == argument->count && memcmp(argument->bytes, word, argument->count) == 0;
}

static text unescape_part(reader *r, const text *raw)
{
    char *copy = allot(r, raw->count + 1);

    memcpy(copy, raw->bytes, raw->count);
    copy[raw->count] = '\0';
    return unescape(r, copy);
}

/* "text", or NIL for a null pointer: then `bytes` is 0. */
static text parse_string(reader *r, const char **at)
{
    text raw, none = {0, 0};
    char kind = next_argument(r, at, &raw);

    if (kind != '"' && is_word(&raw, "NIL"))
        return none;
    if (kind != '"')
        bad_transcript(r, "not a string", raw.bytes);
    return unescape_part(r, &raw);
}

static uint32_t to_number(reader *r, const char *from, size_t count)
{
    unsigned long long n = 0;

    if (count == 0 || count > 10)
        bad_transcript(r, "not a number", from);
    for (size_t i = 0; i < count; i++) {
        if (from[i] < '0' || from[i] > '9')
            bad_transcript(r, "not a number", from);
        n = n * 10 + (unsigned)(from[i] - '0');
    }
    if (n > 0xffffffffu)
        bad_transcript(r, "too large", from);
    return (uint32_t)n;
}

static uint32_t parse_number(reader *r, const char **at)
{
    text raw;

    next_argument(r, at, &raw);
    return to_number(r, raw.bytes, raw.count);
}

/* imapconnect_flags, a byte each; the order is that of what is printed. */
static const struct flag_name {
    const char *name;
    size_t offset;
} flag_names[] = {
    {"\\Answered", offsetof(imapconnect_flags, answered)}, {"\\Deleted", offsetof(imapconnect_flags, deleted)},
    {"\\Draft", offsetof(imapconnect_flags, draft)},       {"\\Flagged", offsetof(imapconnect_flags, flagged)},
    {"\\Recent", offsetof(imapconnect_flags, recent)},     {"\\Seen", offsetof(imapconnect_flags, seen)},
    {"\\*", offsetof(imapconnect_flags, keywords)},
};

#define FLAG_NAMES (sizeof flag_names / sizeof flag_names[0])

/* (\\Seen \\Draft), or NIL for a null pointer. */
static const imapconnect_flags *parse_flags(reader *r, const char **at)
{
    imapconnect_flags *flags = &r->t->flags[r->t->step_count - 1];
    text raw, word;
    const char *from = 0, *end = 0;

    memset(flags, 0, sizeof *flags);
    if (next_argument(r, at, &raw) != '(')
        return 0;
    raw = unescape_part(r, &raw);
    for (from = raw.bytes, end = from + raw.count; from < end;) {
        size_t i = 0;

        word.bytes = from;
        word.count = strcspn(from, " )");
        from += word.count + 1;
        while (i < FLAG_NAMES && !is_word(&word, flag_names[i].name))
            i++;
        if (i == FLAG_NAMES)
            bad_transcript(r, "unknown flag", word.bytes);
        *((uint8_t *)flags + flag_names[i].offset) = 1;
    }
    return flags;
}

static const named_number changes[] = {
    {"answered", ANSWERED}, {"deleted", DELETED}, {"draft", DRAFT}, {"flagged", FLAGGED}, {"seen", SEEN}};

/* +seen -flagged; a digit in place of the sign is handed over as it is. */
static void parse_changes(reader *r, step *s, const char **at)
{
    while (**at) {
        text raw;
        char sign = next_argument(r, at, &raw);
        int which = look_up(r, changes, CHANGES, raw.bytes + 1, raw.count - 1);

        s->changes[which] = sign == '+' ? IMAPCONNECT_ADD : sign == '-' ? IMAPCONNECT_REMOVE : sign - '0';
    }
}

/* "uid" in front of first and last; "seen" behind a part. */
static int parse_word(reader *r, const char **at, const char *word)
{
    size_t count = strlen(word);
    text raw;

    if (strncmp(*at, word, count) != 0)
        return 0;
    next_argument(r, at, &raw);
    return is_word(&raw, word);
}

/* What a call is given: s a string, n a number, t the rest of the line, u perhaps the word "uid", p perhaps "seen",
   f changes of flags, l a list of flags, x bytes for the source. Behind ? the line may end. */
static const struct call_name {
    const char *name;
    int what;
    const char *signature;
} calls[] = {
    {"connect", CONNECT, ""},
    {"noop", NOOP, ""},
    {"command", COMMAND, "t"},
    {"disconnect", DISCONNECT, ""},
    {"close", CLOSE, ""},
    {"select", SELECT, "s"},
    {"examine", EXAMINE, "s"},
    {"close-mailbox", CLOSE_MAILBOX, ""},
    {"unselect", UNSELECT, ""},
    {"check", CHECK, ""},
    {"id", ID, "s?s"},
    {"enable", ENABLE, "s"},
    {"list", LIST, "ss"},
    {"lsub", LSUB, "ss"},
    {"create", CREATE, "s"},
    {"delete", DELETE, "s"},
    {"subscribe", SUBSCRIBE, "s"},
    {"unsubscribe", UNSUBSCRIBE, "s"},
    {"rename", RENAME, "ss"},
    {"status", STATUS, "s"},
    {"namespaces", NAMESPACES, ""},
    {"messages", MESSAGES, "?unn"},
    {"headers", HEADERS, "n"},
    {"message", MESSAGE, "n"},
    {"part", PART, "ns?nnp"},
    {"flags", FLAGS, "nf"},
    {"expunge", EXPUNGE, ""},
    {"copy", COPY, "ns"},
    {"move", MOVE, "ns"},
    {"search", SEARCH, "s?ss"},
    {"append", APPEND, "slsx"},
    {"idle", IDLE, "n"},
};

static const struct call_name *find_call(reader *r, const char *value, size_t length)
{
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        if (strlen(calls[i].name) == length && memcmp(calls[i].name, value, length) == 0)
            return &calls[i];
    }
    bad_transcript(r, "unknown call", value);
    return 0;
}

static void parse_arguments(reader *r, step *s, const char *signature, const char *at)
{
    int strings = 0, numbers = 0, optional = 0;

    for (; *signature && !(optional && *at == '\0'); signature++) {
        switch (*signature) {
        case 's':
            s->strings[strings++] = parse_string(r, &at).bytes;
            break;
        case 'n':
            s->numbers[numbers++] = parse_number(r, &at);
            break;
        case 't':
            s->strings[strings++] = unescape_string(r, at);
            return;
        case 'u':
            s->by = parse_word(r, &at, "uid") ? IMAPCONNECT_BY_UID : IMAPCONNECT_BY_SEQUENCE;
            break;
        case 'p':
            s->mark_seen = parse_word(r, &at, "seen");
            break;
        case 'f':
            parse_changes(r, s, &at);
            break;
        case 'l':
            s->flags = parse_flags(r, &at);
            break;
        case 'x':
            s->source = parse_string(r, &at);
            break;
        default:
            optional = 1;
        }
    }
    if (*at)
        bad_transcript(r, "too many arguments", at);
}

static void parse_call(reader *r, const char *value)
{
    step *s = &r->t->steps[r->t->step_count++];
    size_t length = strcspn(value, " ");
    const struct call_name *call = find_call(r, value, length);

    if (r->t->step_count > MAX_STEPS)
        bad_transcript(r, "too many calls", value);
    memset(s, 0, sizeof *s);
    s->line = r->line;
    s->open = s->stop = s->given = -1;
    s->took = r->time = NO_TIME;
    s->what = call->what;
    parse_arguments(r, s, call->signature, value + length + (value[length] == ' '));
    s->lists = r->t->list_count;
    s->logs = r->t->log_count;
    s->rows = r->t->row_count;
}

static void parse_result(reader *r, const char *value)
{
    step *s = last_step(r);

    s->result = look_up(r, results, sizeof results / sizeof results[0], value, strlen(value));
    s->has_result = 1;
}

/* `list:` with nothing behind it says that the list is empty; so does `log:`. */
static void parse_list(reader *r, const char *value)
{
    step *s = last_step(r);

    s->has_list = 1;
    if (*value == '\0')
        return;
    if (r->t->list_count == MAX_TEXTS)
        bad_transcript(r, "too many entries", value);
    r->t->lists[r->t->list_count++] = unescape(r, value);
    s->list_count++;
}

static void parse_log(reader *r, const char *value)
{
    step *s = last_step(r);

    s->has_log = 1;
    if (*value == '\0')
        return;
    if (r->t->log_count == MAX_TEXTS)
        bad_transcript(r, "too many log lines", value);
    r->t->logs[r->t->log_count++] = unescape(r, value);
    s->log_count++;
}

static void parse_row(reader *r, const char *value)
{
    step *s = last_step(r);

    if (r->t->row_count == MAX_TEXTS)
        bad_transcript(r, "too many rows", value);
    r->t->rows[r->t->row_count++] = unescape(r, value);
    s->row_count++;
}

/* Several of these add up. */
static void parse_sink(reader *r, const char *value)
{
    step *s = last_step(r);
    text more = unescape(r, value);
    char *whole = allot(r, s->sink.count + more.count + 1);

    if (s->sink.count)
        memcpy(whole, s->sink.bytes, s->sink.count);
    memcpy(whole + s->sink.count, more.bytes, more.count + 1);
    s->sink.bytes = whole;
    s->sink.count += more.count;
}

static void parse_time(reader *r, const char *value)
{
    r->time = to_number(r, value, strlen(value));
}

static void parse_took(reader *r, const char *value)
{
    last_step(r)->took = to_number(r, value, strlen(value));
}

static void parse_client(reader *r, const char *value)
{
    add_client(r, BYTES, add_line_end(r, value, 0));
}

static void parse_client_raw(reader *r, const char *value)
{
    add_client(r, BYTES, add_line_end(r, value, 1));
}

static void parse_peer(reader *r, const char *value)
{
    add_peer(r, BYTES, add_line_end(r, value, 0));
}

static void parse_peer_raw(reader *r, const char *value)
{
    add_peer(r, BYTES, add_line_end(r, value, 1));
}

static int number(reader *r, const char *value)
{
    char *end = 0;
    long n = strtol(value, &end, 10);

    if (end == value || *end || n < 0 || n > 1000000)
        bad_transcript(r, "not a number", value);
    return (int)n;
}

/* The value goes where `offset` says: into the transcript, or into its last call. */

static void set_number(reader *r, const char *value)
{
    *(int *)(void *)((char *)r->t + r->offset) = number(r, value);
}

static void set_text(reader *r, const char *value)
{
    *(const char **)(void *)((char *)r->t + r->offset) = unescape_string(r, value);
}

static void set_step_number(reader *r, const char *value)
{
    *(int *)(void *)((char *)last_step(r) + r->offset) = number(r, value);
}

static void set_out(reader *r, const char *value)
{
    last_step(r)->out = unescape_string(r, value);
}

static void set_answer(reader *r, const char *value)
{
    last_step(r)->answers[r->offset] = unescape_string(r, value);
}

/* `auth: plain in-clear`: a sum of mechanisms. */
static void parse_auth(reader *r, const char *value)
{
    static const struct {
        const char *name;
        int bits;
    } words[] = {{"external", IMAPCONNECT_AUTH_EXTERNAL},
                 {"oauthbearer", IMAPCONNECT_AUTH_OAUTHBEARER},
                 {"xoauth2", IMAPCONNECT_AUTH_XOAUTH2},
                 {"scram-sha-256-plus", IMAPCONNECT_AUTH_SCRAM_SHA_256_PLUS},
                 {"scram-sha-256", IMAPCONNECT_AUTH_SCRAM_SHA_256},
                 {"scram-sha-1", IMAPCONNECT_AUTH_SCRAM_SHA_1},
                 {"cram-md5", IMAPCONNECT_AUTH_CRAM_MD5},
                 {"plain", IMAPCONNECT_AUTH_PLAIN},
                 {"login", IMAPCONNECT_AUTH_LOGIN},
                 {"strongest", IMAPCONNECT_AUTH_STRONGEST},
                 {"in-clear", IMAPCONNECT_AUTH_IN_CLEAR}};

    while (*value != '\0') {
        size_t count = strcspn(value, " "), i;

        for (i = 0; i < sizeof words / sizeof words[0]; i++)
            if (strlen(words[i].name) == count && strncmp(words[i].name, value, count) == 0)
                break;
        if (i == sizeof words / sizeof words[0])
            bad_transcript(r, "unknown mechanism", value);
        r->t->auth |= words[i].bits;
        value += count + (value[count] == ' ');
    }
}

typedef struct directive {
    const char *name; /* with the mark that follows it */
    void (*parse)(reader *r, const char *value);
    size_t offset;
} directive;

static const directive directives[] = {
    {"C:", parse_client, 0},
    {"C>", parse_client_raw, 0},
    {"C!", parse_client_event, 0},
    {"S:", parse_peer, 0},
    {"S>", parse_peer_raw, 0},
    {"S!", parse_peer_event, 0},
    {"call:", parse_call, 0},
    {"result:", parse_result, 0},
    {"list:", parse_list, 0},
    {"log:", parse_log, 0},
    {"server:", set_text, offsetof(transcript, server)},
    {"user:", set_text, offsetof(transcript, user)},
    {"password:", set_text, offsetof(transcript, password)},
    {"secure:", set_number, offsetof(transcript, secure)},
    {"verify:", set_number, offsetof(transcript, verify)},
    {"refuse_cleartext:", set_number, offsetof(transcript, refuse_cleartext)},
    {"auth:", parse_auth, 0},
    {"iterations:", set_number, offsetof(transcript, iterations)},
    {"at_once:", set_number, offsetof(transcript, at_once)},
    {"opened:", set_number, offsetof(transcript, opened)},
    {"list_size:", set_number, offsetof(transcript, list_size)},
    {"max_reply:", set_number, offsetof(transcript, max_reply)},
    {"timeout:", set_number, offsetof(transcript, timeout)},
    {"idle_renew:", set_number, offsetof(transcript, idle_renew)},
    {"idle_poll:", set_number, offsetof(transcript, idle_poll)},
    {"log_varies:", set_number, offsetof(transcript, log_varies)},
    {"row:", parse_row, 0},
    {"news:", parse_row, 0},
    {"sink:", parse_sink, 0},
    {"out:", set_out, 0},
    {"time:", parse_time, 0},
    {"took:", parse_took, 0},
    {"stop:", set_step_number, offsetof(step, stop)},
    {"stop_wait:", set_step_number, offsetof(step, stop_wait)},
    {"given:", set_step_number, offsetof(step, given)},
    {"no_callback:", set_step_number, offsetof(step, no_callback)},
    {"truncated:", set_step_number, offsetof(step, truncated)},
    {"open:", set_step_number, offsetof(step, open)},
    {"over:", set_step_number, offsetof(step, over)},
    {"said:", set_answer, SAID},
    {"code:", set_answer, CODE},
    {"reason:", set_answer, REASON},
    {"mechanism:", set_answer, MECHANISM},
    {"answer:", set_answer, ANSWER},
    {"phase:", set_answer, PHASE},
};

static void parse_line(reader *r, const char *line)
{
    for (size_t i = 0; i < sizeof directives / sizeof directives[0]; i++) {
        size_t length = strlen(directives[i].name);

        if (strncmp(line, directives[i].name, length) == 0 && (line[length] == ' ' || line[length] == '\0')) {
            r->offset = directives[i].offset;
            directives[i].parse(r, line + length + (line[length] == ' '));
            return;
        }
    }
    bad_transcript(r, "unknown directive", line);
}

/* ---- what must stay secret ---- */

static void add_secret(reader *r, const char *bytes, size_t count)
{
    text secret = {0, count};
    char *copy = 0;

    if (count < 4) /* too short to be told from chance */
        return;
    if (r->t->secret_count == MAX_SECRETS)
        bad_transcript(r, "too many secrets", "");
    copy = allot(r, count);
    memcpy(copy, bytes, count);
    secret.bytes = copy;
    r->t->secrets[r->t->secret_count++] = secret;
}

static const char base64_digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static size_t to_base64(const char *from, size_t count, char *to)
{
    size_t made = 0;

    for (size_t i = 0; i < count; i += 3) {
        unsigned long bits = 0;

        for (size_t k = 0; k < 3; k++)
            bits = bits << 8 | (i + k < count ? (unsigned char)from[i + k] : 0u);
        for (size_t k = 0; k < 4; k++)
            to[made++] = i + k > count ? '=' : base64_digits[bits >> (18 - 6 * k) & 63];
    }
    return made;
}

/* Decodes what stands before the first character that is no base64. */
static size_t from_base64(const char *from, size_t count, char *to)
{
    size_t made = 0;
    unsigned long bits = 0;
    unsigned have = 0;

    for (; count && *from && strchr(base64_digits, *from); count--, from++) {
        bits = bits << 6 | (unsigned long)(strchr(base64_digits, *from) - base64_digits);
        have += 6;
        if (have >= 8) {
            have -= 8;
            to[made++] = (char)(bits >> have & 0xff);
        }
    }
    return made;
}

static size_t to_hex(const char *from, size_t count, char *to)
{
    for (size_t i = 0; i < count; i++) {
        to[2 * i] = "0123456789abcdef"[(unsigned char)from[i] >> 4];
        to[2 * i + 1] = "0123456789abcdef"[(unsigned char)from[i] & 15];
    }
    return 2 * count;
}

static size_t to_quoted(const char *from, size_t count, char *to)
{
    size_t made = 0;

    for (; count; count--, from++) {
        if (*from == '"' || *from == '\\')
            to[made++] = '\\';
        to[made++] = *from;
    }
    return made;
}

/* The CRAM-MD5 response, "user SP digest"; the last message of SCRAM, which has the proof; what has the password in it. */
static int gives_away(const transcript *t, const char *plain, size_t count)
{
    size_t user = strlen(t->user), password = strlen(t->password);

    if (count == user + 33 && memcmp(plain, t->user, user) == 0 && plain[user] == ' ')
        return 1;
    return (count > 2 && memcmp(plain, "c=", 2) == 0) ||
           (password > 3 && has_bytes(plain, count, t->password, password));
}

/* A line of the client, or its last word, that is base64 of something secret. Of a long one the beginning and the end,
   since it leaves in pieces. */
static void add_response_secrets(reader *r, const segment *s)
{
    char plain[1024];
    const char *bytes = s->data.bytes, *end = 0;
    size_t count = 0, known = 0, some = 0;

    if (s->data.count < 4)
        return;
    end = bytes + s->data.count - 2;
    for (const char *at = bytes; at < end; at++)
        bytes = *at == ' ' ? at + 1 : bytes;
    count = (size_t)(end - bytes);
    known = from_base64(bytes, count < sizeof plain ? count : sizeof plain, plain);
    if (!gives_away(r->t, plain, known))
        return;
    some = count < 64 ? count : 64;
    add_secret(r, bytes, some);
    add_secret(r, end - some, some);
    if (known > 32 && plain[known - 33] == ' ')
        add_secret(r, plain + known - 32, 32);
}

static void collect_secrets(reader *r)
{
    char other[1024];
    const char *password = r->t->password;
    size_t count = strlen(password);

    if (count <= 255) {
        add_secret(r, password, count);
        add_secret(r, other, to_base64(password, count, other));
        add_secret(r, other, to_hex(password, count, other));
        add_secret(r, other, to_quoted(password, count, other));
    }
    for (size_t i = 0; i < r->t->client_count; i++)
        add_response_secrets(r, &r->t->client[i]);
}

static char *read_whole(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *bytes = malloc(65536);
    size_t count = 0;

    assert_non_null(bytes);
    if (!file)
        fail_msg("%s: cannot be opened", path);
    else {
        count = fread(bytes, 1, 65535, file);
        fclose(file);
    }
    assert_true(count < 65535);
    bytes[count] = '\0';
    return bytes;
}

static void load(transcript *t, const char *path)
{
    reader r = {0, 0, 0, 0, NO_TIME};
    char *bytes = read_whole(path);
    char *line = bytes;

    memset(t, 0, offsetof(transcript, arena));
    t->arena_used = 0;
    t->server = "imap.example.org";
    t->user = "joe";
    t->password = "Xyzzy-42";
    t->opened = 1;
    t->list_size = 16384;
    r.t = t;
    r.file = path;
    while (*line) {
        char *next = line + strcspn(line, "\n");

        r.line++;
        if (*next)
            *next++ = '\0';
        if (r.line == 1 && strncmp(line, "# ", 2) != 0)
            bad_transcript(&r, "the first line is not the comment that says what is proved", line);
        if (*line != '#' && *line != '\0')
            parse_line(&r, line);
        line = next;
    }
    free(bytes);
    last_step(&r);
    for (size_t i = 0; i < t->step_count; i++) {
        r.line = t->steps[i].line;
        if (!t->steps[i].has_result && t->steps[i].what != CLOSE)
            bad_transcript(&r, "call without a result", "");
    }
    collect_secrets(&r);
}

/* ---- one replay ------------------------------------------------------------------------------------ */

/* What may go wrong from outside, in the k-th call of the kind. */
enum {
    NO_FAULT,
    TRANSPORT_FAILS,
    TRANSPORT_RETURNS_0,
    LOG_CANCELS,
    RESPONSE_CANCELS,
    ROW_CANCELS,
    SINK_CANCELS,
    SOURCE_FAILS,
    FAULTS
};

/* One way to replay. */
typedef struct way {
    size_t read_chunk, write_chunk;
    size_t split;    /* no read crosses this place in the server's bytes; 0: none */
    size_t split2;   /* nor this one, behind it */
    int wants;       /* this often would-block before each open, read and write */
    int split_wants; /* would-block at the split */
    int nonblocking;
    int bare; /* no list and no log are given */
    int fault, fault_at;
    int cut;          /* the server's bytes end at `split`: CUT_... */
    int tls12;        /* where there is TLS: 1.2, or 1.3 */
    size_t raw_chunk; /* TLS: so many raw bytes at a time; 0: all */
    int raw_wants;    /* TLS: would-block this often before each raw read and write */
    int bare_end;     /* TLS: the end of the stream comes without close_notify */
} way;

/* Nothing more comes, or a BYE and then nothing more. */
enum { CUT_NOT, CUT_END, CUT_BYE };

#define ALL ((size_t)-1)

static const way all_at_once = {ALL, ALL, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};

static const char cut_bye[] = "* BYE cut\r\n";

/* The wire with the server at its other end; also what the callbacks saw. */
typedef struct wire {
    const transcript *t;
    const char *file;
    way w;
    size_t client_segment, client_offset; /* up to here the client has sent what it should */
    size_t peer_segment, peer_offset, received;
    size_t streamed; /* how much of `received` came through on_response */
    unsigned long literal;
    int step;
    int fault_calls, fault_result; /* calls of the kind that will fail; what must come of it, 0 before */
    char *spoiled;                 /* the library's memory that it must not touch now */
    size_t spoiled_count;
    int opens, closes, wanted, stalls, split_done;
    size_t bye_sent; /* of `cut_bye` */
    int cut_done;    /* the end that was cut has been read */
    int raw_wanted, in_tunnel;
    size_t tls_record, tls_header; /* of the record that the client is sending: bytes to come; bytes of its header */
    unsigned char tls_type, tls_length;
    imapconnect_session *session;
    uint32_t now, began; /* the clock; when the call began */
    int logging;         /* in the middle of a log line */
    char *log;           /* joined log lines, '\n' behind each */
    size_t log_used;
    size_t row_count, row_used; /* what the callbacks of the present call saw, in `rows` and `row_lines` */
    size_t sink_used, given;
    int stopped; /* a callback has said stop */
    char failure[600];
} wire;

static char reference[RECORD_SIZE], record[RECORD_SIZE], log_lines[RECORD_SIZE];
static char row_lines[RECORD_SIZE], sunk[RECORD_SIZE];
static size_t reference_used, record_used;
static text rows[MAX_TEXTS];
static wire *playing; /* the replay in progress */

/* The first failure counts. The library goes on with an error, so that it can be reported from outside. */
static int broken(wire *v, int line, const char *what)
{
    if (v->failure[0] == '\0') {
        snprintf(v->failure, sizeof v->failure,
                 "%s:%d: %s (read %ld, write %ld, split %zu, wants %d, fault %d %d, %s%s; client segment %zu+%zu, "
                 "server %zu)",
                 v->file, line, what, (long)v->w.read_chunk, (long)v->w.write_chunk, v->w.split, v->w.wants,
                 v->w.fault, v->w.fault_at, v->w.nonblocking ? "non-blocking" : "blocking", v->w.bare ? ", bare" : "",
                 v->client_segment, v->client_offset, v->received);
    }
    return IMAPCONNECT_E_TRANSPORT;
}

/* Adds to the failure what the client sent there. */
static int broken_by(wire *v, const unsigned char *bytes, size_t count)
{
    size_t used = strlen(v->failure);

    for (; count && used + 5 < sizeof v->failure; count--, bytes++)
        used += (size_t)snprintf(v->failure + used, 5, *bytes < 0x20 || *bytes > 0x7e ? "\\x%02x" : "%c", *bytes);
    return IMAPCONNECT_E_TRANSPORT;
}

static int current_line(const wire *v)
{
    return v->t->steps[v->step].line;
}

static const step *current_step(const wire *v)
{
    return &v->t->steps[v->step];
}

static uint32_t elapsed(const wire *v)
{
    return v->now - v->began;
}

/* True when would-block is due: it comes `wants` times, then progress once. */
static int blocks(wire *v)
{
    if (v->wanted < v->w.wants) {
        v->wanted++;
        return 1;
    }
    v->wanted = 0;
    return 0;
}

/* True when this call of that kind is the one that fails, and then the call of the library must return `result`. */
static int fails(wire *v, int fault, int result)
{
    if (v->w.fault != fault || ++v->fault_calls != v->w.fault_at)
        return 0;
    v->fault_result = result;
    return 1;
}

static int wire_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    wire *v = context;

    (void)milliseconds;
    v->opens = 1;
    if (v->closes)
        return broken(v, current_line(v), "opened after close");
    if (strcmp(host, "imap.example.org") != 0 || port != (v->t->secure == 1 ? 993 : 143))
        return broken(v, current_line(v), "opened to the wrong place");
    if (fails(v, TRANSPORT_FAILS, IMAPCONNECT_E_RESET))
        return IMAPCONNECT_E_RESET;
    return blocks(v) ? IMAPCONNECT_WANT_WRITE : SOCKET;
}

/* The server's segment that can be read now, or 0. It must not come before its place in the dialogue. */
static const segment *readable(const wire *v)
{
    const segment *s = &v->t->peer[v->peer_segment];

    if (v->peer_segment == v->t->peer_count)
        return 0;
    if (s->after > v->client_segment || s->step > v->step)
        return 0;
    return s->step == v->step && s->time != NO_TIME && elapsed(v) < s->time ? 0 : s;
}

/* The moment that the dialogue speaks of next; NO_TIME when it does not. */
static uint32_t next_moment(const wire *v)
{
    const segment *client = &v->t->client[v->client_segment], *peer = &v->t->peer[v->peer_segment];
    uint32_t moment = current_step(v)->took;

    if (v->client_segment < v->t->client_count && client->step == v->step && client->time < moment)
        moment = client->time;
    if (v->peer_segment < v->t->peer_count && peer->step == v->step && peer->time < moment && elapsed(v) < peer->time)
        moment = peer->time;
    return moment;
}

/* The clock goes on: to just before the next moment, and to that moment; where there is none, by ten seconds. */
static void pass_time(wire *v)
{
    uint32_t moment = next_moment(v), wait = 10000;

    if (moment != NO_TIME && moment > elapsed(v))
        wait = moment - elapsed(v);
    else
        moment = NO_TIME;
    v->now += moment != NO_TIME && wait > 1 ? wait - 1 : wait;
}

/* A read in vain. A session that only waits must run into its time limit: the clock goes on by itself. */
static int nothing_there(wire *v)
{
    v->stalls++;
    /* A session may look twice before it asks the clock; and while it cannot write it looks, too. */
    if (v->stalls > PATIENCE && v->stalls % 4 == 0 && v->wanted == 0)
        pass_time(v);
    if (v->stalls > TURN_LIMIT)
        return broken(v, current_line(v), "the session waits for ever");
    return IMAPCONNECT_WANT_READ;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* A page that cannot be touched follows each of these. */
static char *flush_input, *flush_list, *flush_session, *flush_output, *flush_strings[MAX_STRINGS];

#define INPUT_SIZE  65536u
#define OUTPUT_SIZE sizeof(imapconnect_selection)
#define UNTOUCHED   0xa5
#define LIST_SIZE   131072

/* Where this read must end, in the server's bytes. */
static size_t next_border(const wire *v)
{
    return v->received < v->w.split ? v->w.split : v->w.split2;
}

/* The server has gone away in the middle. Returns 1 when that is so now, and what the read returns. */
static int is_cut(wire *v, char *bytes, size_t count, int *result)
{
    size_t n = v->w.cut == CUT_BYE ? smaller(count, sizeof cut_bye - 1 - v->bye_sent) : 0;

    if (v->w.cut == CUT_NOT || v->received < v->w.split)
        return 0;
    if (v->cut_done)
        n = 0, broken(v, current_line(v), "reads again behind the end");
    memcpy(bytes, cut_bye + v->bye_sent, n);
    v->bye_sent += n;
    v->cut_done = n == 0;
    *result = n == 0 ? IMAPCONNECT_CLOSED : (int)n;
    return 1;
}

/* Copies what is readable, over the borders of segments, to where it ends flush against a forbidden page, and
   from there to the library. */
static size_t copy_input(wire *v, char *to, size_t count)
{
    char *from = flush_input - count;
    size_t made = 0;
    const segment *s = 0;

    while (made < count && (s = readable(v)) != 0 && s->kind == BYTES) {
        size_t n = smaller(count - made, s->data.count - v->peer_offset);

        memcpy(from + made, s->data.bytes + v->peer_offset, n);
        made += n;
        v->peer_offset += n;
        if (v->peer_offset == s->data.count) {
            v->peer_offset = 0;
            v->peer_segment++;
        }
    }
    memmove(flush_input - made, from, made);
    memcpy(to, flush_input - made, made);
    return made;
}

/* The library must not look behind what it was given: the rest of its buffer holds tempting lines, and with
   AddressSanitizer it may not be touched until the next callback. */
static void spoil(wire *v, char *bytes, size_t count)
{
    static const char bait[] = "\r\na1 OK x\r\na2 OK x\r\n+ YQ==\r\n* BYE x\r\n";
    size_t made = smaller(count, sizeof bait - 1);

    memcpy(bytes, bait, made);
    for (; made < count; made += smaller(made, count - made))
        memcpy(bytes + made, bytes, smaller(made, count - made));
#ifdef __SANITIZE_ADDRESS__
    ASAN_POISON_MEMORY_REGION(bytes, count);
#endif
    v->spoiled = bytes;
    v->spoiled_count = count;
}

static void unspoil(wire *v)
{
#ifdef __SANITIZE_ADDRESS__
    ASAN_UNPOISON_MEMORY_REGION(v->spoiled, v->spoiled_count);
#endif
    v->spoiled_count = 0;
}

/* Read and write fail alike: with a code of the table, or with the 0 that is forbidden. Returns 1 when it is due. */
static int moves_nothing(wire *v, int *result)
{
    *result = IMAPCONNECT_E_RESET;
    if (v->fault_result != 0 && !v->t->has_tls) /* TLS may send its alert */
        return broken(v, current_line(v), "reads or writes after a fatal error") < 0;
    if (fails(v, TRANSPORT_FAILS, IMAPCONNECT_E_RESET))
        return 1;
    *result = 0;
    return fails(v, TRANSPORT_RETURNS_0, IMAPCONNECT_E_TRANSPORT);
}

static int wire_read(void *context, void *bytes, size_t count)
{
    wire *v = context;
    const segment *s = readable(v);
    size_t limit = smaller(smaller(count, v->w.read_chunk), INPUT_SIZE);
    size_t made = 0;
    int result = 0;

    unspoil(v);
    if (moves_nothing(v, &result))
        return result;
    if (v->opens != 1 || v->closes)
        return broken(v, current_line(v), "read without a connection");
    if (count == 0)
        return broken(v, current_line(v), "read of nothing");
    if (v->session->engine.writer.borrowed && v->session->engine.reader.early)
        return broken(v, current_line(v), "the reply has the buffer, and the command has not left");
    if (is_cut(v, bytes, count, &result))
        return result;
    if (!s) {
        int nothing = nothing_there(v);

        s = readable(v); /* the clock may have gone on */
        if (!s)
            return nothing;
    }
    if (!v->t->at_once && blocks(v))
        return IMAPCONNECT_WANT_READ;
    if (s->kind != BYTES)
        return s->kind == END ? IMAPCONNECT_CLOSED : IMAPCONNECT_E_RESET;
    if (v->received < next_border(v))
        limit = smaller(limit, next_border(v) - v->received);
    else if (v->received == v->w.split && v->w.split_wants && !v->split_done && !v->t->at_once) {
        v->split_done = 1;
        return IMAPCONNECT_WANT_READ;
    }
    made = copy_input(v, bytes, limit);
    v->received += made;
    v->stalls = 0;
    spoil(v, (char *)bytes + made, count - made);
    return (int)made;
}

/* One byte of TLS from the client. The first record must be a handshake record, any further one an alert;
   RFC 8446 section 5.1. Returns 0 when it is neither. */
static int accept_tls(wire *v, unsigned char c, int first)
{
    if (v->tls_record > 0) {
        v->tls_record--;
    } else {
        switch (v->tls_header++) {
        case 0:
            v->tls_type = c;
            return c == (first ? 0x16 : 0x15);
        case 1:
            return c == 0x03;
        case 3:
            v->tls_length = c;
            return 1;
        case 4:
            v->tls_record = (size_t)v->tls_length << 8 | c;
            v->tls_header = 0;
            return v->tls_record > 0;
        default:
            return 1;
        }
    }
    if (v->tls_record == 0 && first)
        v->client_segment++;
    return 1;
}

/* A client's line with a moment leaves then, or within the second that follows. */
static int is_in_time(const wire *v, const segment *s)
{
    return s->time == NO_TIME || (elapsed(v) >= s->time && elapsed(v) < s->time + 1000);
}

static int accept_byte(wire *v, unsigned char c)
{
    const segment *s = &v->t->client[v->client_segment];
    int over = v->client_segment == v->t->client_count;

    if (over && v->t->has_tls && v->client_segment && s[-1].kind == TLS)
        return accept_tls(v, c, 0) ? 0 : broken(v, s[-1].line, "plain bytes after the ClientHello");
    if (over || s->step > v->step)
        return broken(v, current_line(v), "sent more than it should");
    if (!is_in_time(v, s))
        return broken(v, s->line, elapsed(v) < s->time ? "sent too early" : "sent too late");
    if (s->kind == TLS)
        return accept_tls(v, c, 1) ? 0 : broken(v, s->line, "not a ClientHello");
    if ((unsigned char)s->data.bytes[v->client_offset] != c)
        return broken(v, s->line, "sent something else");
    if (++v->client_offset == s->data.count) {
        v->client_offset = 0;
        v->client_segment++;
    }
    return 0;
}

/* A client must read what is there before it sends a command, or it takes an early answer for an answer. */
static int sends_too_early(const wire *v)
{
    const segment *s = &v->t->client[v->client_segment];

    if (v->client_segment == v->t->client_count || v->client_offset || s->kind == TLS || v->w.wants ||
        v->w.split_wants || v->w.raw_wants)
        return 0;
    return v->received < s->after;
}

static int wire_write(void *context, const void *bytes, size_t count)
{
    wire *v = context;
    const unsigned char *from = bytes;
    size_t n = smaller(count, v->w.write_chunk);
    int result = 0;

    unspoil(v);
    if (moves_nothing(v, &result))
        return result;
    if (v->opens != 1 || v->closes)
        return broken(v, current_line(v), "write without a connection");
    if (count == 0)
        return broken(v, current_line(v), "write of nothing");
    if (v->session->engine.writer.borrowed)
        return broken(v, current_line(v), "written from the buffer that the reply has");
    if (v->cut_done)
        return broken(v, current_line(v), "writes behind the end");
    if (blocks(v))
        return IMAPCONNECT_WANT_WRITE;
    if (sends_too_early(v))
        return broken(v, v->t->client[v->client_segment].line, "sent before it had read what was there");
    for (size_t i = 0; i < n; i++) {
        if (accept_byte(v, from[i]) < 0)
            return broken_by(v, from + i, n - i);
    }
    v->stalls = 0;
    return (int)n;
}

static void wire_close(void *context)
{
    wire *v = context;

    unspoil(v);
    if (v->opens != 1)
        broken(v, current_line(v), "closed without open");
    if (++v->closes != 1)
        broken(v, current_line(v), "closed twice");
}

/* ---- the same inside TLS ---- */

static tunnel tls;
static WOLFSSL_CTX *client_context; /* trusts the server's CA */
static unsigned char raw[RECORD_SIZE];
static size_t raw_used; /* what left, as it left */

/* The next thing that the client says is a ClientHello, and there is a server that can answer it. */
static void enter_tunnel(wire *v)
{
    v->client_segment++;
    v->in_tunnel = 1;
    tls.context = v;
    tls.read = wire_read;
    tls.write = wire_write;
    tls.bare_end = v->w.bare_end;
    tls.record = v->w.read_chunk == ALL ? 0 : v->w.read_chunk;
    tunnel_begin(&tls, TUNNEL_GOOD, v->w.tls12);
}

static int raw_blocks(wire *v)
{
    if (v->raw_wanted < v->w.raw_wants) {
        v->raw_wanted++;
        return 1;
    }
    v->raw_wanted = 0;
    return 0;
}

static int raw_read(void *context, void *bytes, size_t count)
{
    wire *v = context;

    if (v->w.raw_chunk && count > v->w.raw_chunk)
        count = v->w.raw_chunk;
    if (raw_blocks(v))
        return IMAPCONNECT_WANT_READ;
    return v->in_tunnel ? tunnel_raw_read(&tls, bytes, count) : wire_read(v, bytes, count);
}

static int raw_write(void *context, const void *bytes, size_t count)
{
    wire *v = context;
    int is_hello = v->client_segment < v->t->client_count && v->t->client[v->client_segment].kind == TLS;

    if (v->w.raw_chunk && count > v->w.raw_chunk)
        count = v->w.raw_chunk;
    if (raw_blocks(v))
        return IMAPCONNECT_WANT_WRITE;
    if (raw_used + count <= RECORD_SIZE) {
        memcpy(raw + raw_used, bytes, count);
        raw_used += count;
    }
    if (is_hello && !v->in_tunnel)
        enter_tunnel(v);
    return v->in_tunnel ? tunnel_raw_write(&tls, bytes, count) : wire_write(v, bytes, count);
}

static void raw_close(void *context)
{
    tunnel_end(&tls);
    wire_close(context);
}

static uint32_t wire_clock(void *user)
{
    unspoil(user);
    return ((wire *)user)->now;
}

/* ---- what the callbacks and the list must show ---- */

static int find_secret(const transcript *t, const char *bytes, size_t count)
{
    for (size_t i = 0; i < t->secret_count; i++)
        if (has_bytes(bytes, count, t->secrets[i].bytes, t->secrets[i].count))
            return 1;
    return 0;
}

static int on_log(void *user, int direction, const char *bytes, size_t count)
{
    wire *v = user;
    int from = direction & ~IMAPCONNECT_LOG_MORE;
    const char *mark = from == IMAPCONNECT_LOG_SENT       ? "C: "
                       : from == IMAPCONNECT_LOG_RECEIVED ? "S: "
                       : from == IMAPCONNECT_LOG_NOTE     ? "N: "
                                                          : 0;

    if (!mark || count > IMAPCONNECT_LOG_SIZE || v->log_used + count + 4 > RECORD_SIZE) {
        broken(v, current_line(v), "bad call of the log procedure");
        return 0;
    }
    if (!v->logging) {
        memcpy(v->log + v->log_used, mark, 3);
        v->log_used += 3;
    }
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] < 0x20 || bytes[i] > 0x7e)
            broken(v, current_line(v), "the log is not printable ASCII");
        v->log[v->log_used++] = bytes[i];
    }
    v->logging = (direction & IMAPCONNECT_LOG_MORE) != 0;
    if (!v->logging)
        v->log[v->log_used++] = '\n';
    return fails(v, LOG_CANCELS, IMAPCONNECT_E_CANCELLED);
}

/* The byte of the dialogue at this place of the server's stream. */
static int peer_byte(const wire *v, size_t place)
{
    const transcript *t = v->t;

    if (v->w.cut != CUT_NOT && place >= v->w.split)
        return cut_bye[place - v->w.split];
    for (size_t i = 0; i < t->peer_count; i++) {
        if (place < t->peer[i].data.count)
            return (unsigned char)t->peer[i].data.bytes[place];
        place -= t->peer[i].data.count;
    }
    return -1;
}

/* Every byte of every response comes once, in order, unaltered; a literal has the size that was announced. */
static int on_response(void *user, int event, const char *bytes, size_t count)
{
    wire *v = user;
    size_t n = event == IMAPCONNECT_LITERAL_BEGIN ? 2 : count;

    if (event < IMAPCONNECT_LINE || event > IMAPCONNECT_RESTART)
        broken(v, current_line(v), "unknown event");
    if (event == IMAPCONNECT_LITERAL_BEGIN)
        v->literal = (unsigned long)count;
    if (event == IMAPCONNECT_LITERAL_END && v->literal != 0)
        broken(v, current_line(v), "literal of the wrong size");
    if (event == IMAPCONNECT_LITERAL_END || event == IMAPCONNECT_RESTART)
        return fails(v, RESPONSE_CANCELS, IMAPCONNECT_E_CANCELLED);
    if (event == IMAPCONNECT_LITERAL)
        v->literal -= (unsigned long)count;
    for (size_t i = 0; i < n; i++) {
        if (v->streamed >= v->received + v->bye_sent || peer_byte(v, v->streamed) != (unsigned char)bytes[i]) {
            broken(v, current_line(v), "on_response saw other bytes");
            return 0;
        }
        v->streamed++;
    }
    return fails(v, RESPONSE_CANCELS, IMAPCONNECT_E_CANCELLED);
}

/* ---- what the calls hand out, written as the transcripts write it ---- */

/* Every callback comes while its call runs, with the pointer that was given to the call, and not after it said stop. */
static wire *called(void *user)
{
    wire *v = playing;

    if (user != &v->row_used)
        broken(v, current_line(v), "a callback got another `user`");
    if (v->stopped)
        broken(v, current_line(v), "a callback was called after it had said stop");
    return v;
}

/* Adds a row, and says whether its callback is to say stop. */
static int take_row(wire *v, const char *line)
{
    const step *s = current_step(v);
    size_t count = strlen(line);

    if (v->row_count == MAX_TEXTS || v->row_used + count > RECORD_SIZE) {
        broken(v, s->line, "too many rows");
        return 1;
    }
    memcpy(row_lines + v->row_used, line, count);
    rows[v->row_count].bytes = row_lines + v->row_used;
    rows[v->row_count++].count = count;
    v->row_used += count;
    return s->stop >= 0 && v->row_count >= (size_t)s->stop;
}

/* The same where stop is the end of the session. */
static int take_fatal_row(wire *v, const char *line)
{
    v->stopped = take_row(v, line);
    v->stopped |= fails(v, ROW_CANCELS, IMAPCONNECT_E_CANCELLED);
    return v->stopped;
}

/* "/", or NIL for none. */
static const char *quoted_separator(char separator, char to[4])
{
    snprintf(to, 4, "\"%c\"", separator);
    return separator ? to : "NIL";
}

#define ROW_SIZE 2048

static int on_mailbox(void *user, const imapconnect_mailbox *row)
{
    wire *v = called(user);
    char line[ROW_SIZE], separator[4];

    snprintf(line, sizeof line, "\"%s\" %s%s%s%s%s%s%s%s", row->name, quoted_separator(row->separator, separator),
             row->has_children > 0 ? " children" : "", row->has_children == 0 ? " no-children" : "",
             row->no_inferiors ? " no-inferiors" : "", row->no_select ? " no-select" : "",
             row->marked ? " marked" : "", row->unmarked ? " unmarked" : "", row->raw ? " raw" : "");
    if (row->has_children < -1 || row->has_children > 1)
        broken(v, current_line(v), "has_children is none of its three values");
    return take_fatal_row(v, line);
}

static int on_namespace(void *user, const imapconnect_namespace *row)
{
    static const char *const kinds[] = {"own", "others", "shared"};
    wire *v = called(user);
    char line[ROW_SIZE], separator[4];

    snprintf(line, sizeof line, "%s \"%s\" %s", row->kind > 2 ? "unknown" : kinds[row->kind], row->prefix,
             quoted_separator(row->separator, separator));
    return take_fatal_row(v, line);
}

/* (\Seen \*); `to` has room for all. */
static const char *quoted_flags(const imapconnect_flags *flags, char to[80])
{
    char *at = to;

    *at++ = '(';
    for (size_t i = 0; i < FLAG_NAMES; i++) {
        uint8_t value = *((const uint8_t *)flags + flag_names[i].offset);

        if (value)
            at += snprintf(at, 16, "%s%s%s", at == to + 1 ? "" : " ", flag_names[i].name, value == 1 ? "" : "?");
    }
    memcpy(at, ")", 2);
    return to;
}

static int on_message(void *user, const imapconnect_message *row)
{
    wire *v = called(user);
    char line[ROW_SIZE], flags[80];

    snprintf(line, sizeof line, "%lu uid=%lu size=%lu \"%.27s\" %s", (unsigned long)row->sequence,
             (unsigned long)row->uid, (unsigned long)row->size, row->internal_date, quoted_flags(&row->flags, flags));
    return take_fatal_row(v, line);
}

static int on_uid(void *user, uint32_t uid)
{
    wire *v = called(user);
    char line[16];

    snprintf(line, sizeof line, "%lu", (unsigned long)uid);
    return take_fatal_row(v, line);
}

/* To say stop here is no error: it ends the wait. So it is no fault either; and what else comes before the wait has
   ended is told, too. */
static int on_news(void *user, int what, uint32_t number)
{
    static const char *const kinds[] = {"nothing", "exists", "expunge", "recent", "flags"};
    wire *v = called(user);
    char line[40];
    int stop = 0;

    snprintf(line, sizeof line, "%s %lu", what < 1 || what > 4 ? "unknown" : kinds[what], (unsigned long)number);
    stop = take_row(v, line);
    if (current_step(v)->stop_wait == (int)v->row_count)
        imapconnect_idle_stop(v->session);
    return stop;
}

static int sink(void *user, const void *bytes, size_t count)
{
    wire *v = called(user);
    const step *s = current_step(v);

    if (count == 0 || v->sink_used + count > RECORD_SIZE) {
        broken(v, s->line, "bad call of the sink");
        return 1;
    }
    memcpy(sunk + v->sink_used, bytes, count);
    v->sink_used += count;
    v->stopped = s->stop >= 0 && v->sink_used >= (size_t)s->stop;
    v->stopped |= fails(v, SINK_CANCELS, IMAPCONNECT_E_CANCELLED);
    return v->stopped;
}

/* Gives one byte, or as many as fit. It may write to all that it is shown. It has three ways to fail. */
static int source(void *user, void *bytes, size_t count)
{
    wire *v = called(user);
    const step *s = current_step(v);
    size_t left = s->source.count - v->given, n = smaller(smaller(count, v->w.write_chunk), left);
    int failures[] = {0, -1, (int)smaller(count, INPUT_SIZE) + 1};

    if (s->stop > (int)v->given)
        n = smaller(n, (size_t)s->stop - v->given);
    memset(bytes, 'Z', count);
    if (n == 0) {
        broken(v, s->line, count ? "the source is asked for more than was announced" : "asked for nothing");
        return 0;
    }
    v->stopped = s->stop >= 0 && v->given >= (size_t)s->stop;
    v->stopped |= fails(v, SOURCE_FAILS, IMAPCONNECT_E_CANCELLED);
    if (v->stopped)
        return failures[v->w.fault_at % 3];
    memcpy(bytes, s->source.bytes + v->given, n);
    v->given += n;
    return (int)n;
}

static const char *quoted_output(const wire *v, char *to, size_t size)
{
    const imapconnect_selection *selection = (const void *)(flush_output - sizeof *selection);
    const imapconnect_status *status = (const void *)(flush_output - sizeof *status);
    int is_status = current_step(v)->what == STATUS;
    const struct {
        const char *name;
        uint32_t number;
    } numbers[] = {{"messages", is_status ? status->messages : selection->messages},
                   {"recent", is_status ? status->recent : selection->recent},
                   {"uidnext", is_status ? status->uidnext : selection->uidnext},
                   {"uidvalidity", is_status ? status->uidvalidity : selection->uidvalidity},
                   {"unseen", is_status ? status->unseen : selection->unseen}};
    char flags[80], permanent[80];
    size_t used = 0;

    for (size_t i = 0; i < 5; i++) {
        if (numbers[i].number)
            used += (size_t)snprintf(to + used, size - used, "%s%s=%lu", used ? " " : "", numbers[i].name,
                                     (unsigned long)numbers[i].number);
    }
    if (!is_status)
        snprintf(to + used, size - used, "%sflags=%s permanent=%s%s", used ? " " : "",
                 quoted_flags(&selection->flags, flags), quoted_flags(&selection->permanent_flags, permanent),
                 selection->read_only ? " read-only" : "");
    return to;
}

/* ---- what a call leaves behind ---- */

static void note(const char *bytes, size_t count)
{
    assert_true(record_used + count < RECORD_SIZE);
    memcpy(record + record_used, bytes, count);
    record_used += count;
}

static void note_number(const char *name, long value)
{
    char line[60];
    int count = snprintf(line, sizeof line, "%s %ld\n", name, value);

    note(line, (size_t)count);
}

/* The list, with '\n' behind each entry, goes to the record. */
static void note_list(const imapconnect_list *list)
{
    const char *entry = 0;

    note_number("entries", (long)list->count);
    note_number("truncated", list->truncated);
    note_number("cut", list->cut);
    while ((entry = imapconnect_list_next(list, entry)) != 0) {
        note(entry, strlen(entry));
        note("\n", 1);
    }
}

static void differs(wire *v, const step *s, const char *what, const char *expected, const char *got, size_t count)
{
    char message[400];

    snprintf(message, sizeof message, "%s is not as expected: want '%s', got '%.*s'", what, expected,
             (int)smaller(count, 120), got);
    broken(v, s->line, message);
}

static void check_list(wire *v, const step *s, const imapconnect_list *list)
{
    const text *want = v->t->lists + s->lists;
    const char *entry = 0;
    size_t i = 0;

    if (list->truncated != s->truncated)
        broken(v, s->line, "the list is truncated, or should be");
    if (find_secret(v->t, list->text, list->used))
        broken(v, s->line, "a secret is in the list");
    if (!s->has_list)
        return;
    while ((entry = imapconnect_list_next(list, entry)) != 0 && i < s->list_count) {
        if (strcmp(entry, want[i].bytes) != 0)
            differs(v, s, "list", want[i].bytes, entry, strlen(entry));
        i++;
    }
    if (entry)
        differs(v, s, "list", "(no more)", entry, strlen(entry));
    if (i < s->list_count)
        differs(v, s, "list", want[i].bytes, "(nothing)", 9);
    if (list->count != s->list_count)
        broken(v, s->line, "the list counts wrong");
}

static void check_log(wire *v, const step *s)
{
    const text *want = v->t->logs + s->logs;
    const char *line = v->log, *end = v->log + v->log_used;

    if (v->logging)
        broken(v, s->line, "the last log line is not whole");
    if (find_secret(v->t, v->log, v->log_used))
        broken(v, s->line, "a secret is in the log");
    if (!s->has_log)
        return;
    for (size_t i = 0; i < s->log_count; i++) {
        const char *stop = line < end ? memchr(line, '\n', (size_t)(end - line)) : 0;

        if (!stop) {
            differs(v, s, "log", want[i].bytes, "(nothing)", 9);
            return;
        }
        if ((size_t)(stop - line) != want[i].count || memcmp(line, want[i].bytes, want[i].count) != 0)
            differs(v, s, "log", want[i].bytes, line, (size_t)(stop - line));
        line = stop + 1;
    }
    if (line < end)
        differs(v, s, "log", "(no more)", line, (size_t)(end - line));
}

static const char *const questions[QUESTIONS] = {"said", "code", "reason", "mechanism", "answer", "phase"};

#ifndef IMAPCONNECT_NO_SASL

/* The names of enum imapconnect_reason, without their beginning. */
static const char *reason_name(int reason)
{
    static const struct {
        int reason;
        const char *name;
    } names[] = {{IMAPCONNECT_REASON_NONE, "NONE"},
                 {IMAPCONNECT_REASON_UNKNOWN, "UNKNOWN"},
                 {IMAPCONNECT_REASON_ALERT, "ALERT"},
                 {IMAPCONNECT_REASON_UNAVAILABLE, "UNAVAILABLE"},
                 {IMAPCONNECT_REASON_AUTHENTICATIONFAILED, "AUTHENTICATIONFAILED"},
                 {IMAPCONNECT_REASON_AUTHORIZATIONFAILED, "AUTHORIZATIONFAILED"},
                 {IMAPCONNECT_REASON_EXPIRED, "EXPIRED"},
                 {IMAPCONNECT_REASON_PRIVACYREQUIRED, "PRIVACYREQUIRED"},
                 {IMAPCONNECT_REASON_CONTACTADMIN, "CONTACTADMIN"},
                 {IMAPCONNECT_REASON_LIMIT, "LIMIT"},
                 {IMAPCONNECT_REASON_OVERQUOTA, "OVERQUOTA"},
                 {IMAPCONNECT_REASON_NONEXISTENT, "NONEXISTENT"},
                 {IMAPCONNECT_REASON_CANNOT, "CANNOT"},
                 {IMAPCONNECT_REASON_CLIENTBUG, "CLIENTBUG"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].reason == reason)
            return names[i].name;
    return "another one";
}

#endif

static void check_answers(wire *v, const step *s, const imapconnect_session *session)
{
    const char *got[QUESTIONS];

    got[SAID] = imapconnect_server_text(session);
    got[CODE] = imapconnect_response_code(session);
#ifdef IMAPCONNECT_NO_SASL
    got[REASON] = s->answers[REASON] ? s->answers[REASON] : ""; /* it cannot be asked */
#else
    got[REASON] = reason_name(imapconnect_reason(session));
#endif
    got[MECHANISM] = imapconnect_mechanism(session);
    got[ANSWER] = imapconnect_answer(session);
    got[PHASE] = imapconnect_phase(session);
    for (int i = 0; i < QUESTIONS; i++) {
        if (s->answers[i] && strcmp(s->answers[i], got[i]) != 0)
            differs(v, s, questions[i], s->answers[i], got[i], strlen(got[i]));
        note(got[i], strlen(got[i]));
        note("\n", 1);
    }
}

/* What came through the callbacks. When the call was cut short (`whole` 0) it is the beginning of what is expected. */
static void check_rows(wire *v, const step *s, int whole)
{
    const text *want = v->t->rows + s->rows;
    size_t i = 0;

    for (; i < v->row_count && i < s->row_count; i++) {
        if (rows[i].count != want[i].count || memcmp(rows[i].bytes, want[i].bytes, want[i].count) != 0)
            differs(v, s, "row", want[i].bytes, rows[i].bytes, rows[i].count);
    }
    if (i < v->row_count)
        differs(v, s, "row", "(no more)", rows[i].bytes, rows[i].count);
    if (i < s->row_count && whole)
        differs(v, s, "row", want[i].bytes, "(nothing)", 9);
}

/* One that says stop after N bytes gets pieces of any size; so it is not said where exactly the call ends. */
static int is_cut_anywhere(const step *s)
{
    return s->what >= HEADERS && s->what <= PART && s->stop >= 0;
}

/* The same for the sink. */
static void check_sink(wire *v, const step *s, int whole)
{
    size_t most = s->sink.count;
    size_t least = !whole ? 0 : is_cut_anywhere(s) ? (size_t)s->stop : most;

    if (v->sink_used < least || v->sink_used > most)
        differs(v, s, "number of bytes in the sink", s->sink.bytes ? s->sink.bytes : "(none)", sunk, v->sink_used);
    else if (v->sink_used && memcmp(sunk, s->sink.bytes, v->sink_used) != 0)
        differs(v, s, "sink", s->sink.bytes, sunk, v->sink_used);
}

static void check_output(wire *v, const step *s)
{
    char got[400] = "";

    if (s->out && strcmp(quoted_output(v, got, sizeof got), s->out) != 0)
        differs(v, s, "output", s->out, got, strlen(got));
    note(got, strlen(got));
}

/* All that came out of the call but list and log. */
static void check_outputs(wire *v, const step *s)
{
    int asked = s->given >= 0 ? s->given : s->result == 0 ? (int)s->source.count : -1;

    check_rows(v, s, 1);
    check_sink(v, s, 1);
    check_output(v, s);
    if (asked >= 0 && (size_t)asked != v->given)
        broken(v, s->line, "more, or fewer, bytes were taken from the source");
    note(row_lines, v->row_used);
    note_number("rows", (long)v->row_count);
    if (!is_cut_anywhere(s))
        note(sunk, v->sink_used);
}

/* ---- running the calls ---- */

/* The strings that a call is given end flush against a forbidden page, and are not what they were once the call is
   over. A string is as long as the rest of its memory: there is no need to keep its size. */
static const char *lend(const step *s, int i)
{
    size_t count = 0;

    if (!s->strings[i])
        return 0;
    count = strlen(s->strings[i]) + 1;
    return memcpy(flush_strings[i] - count, s->strings[i], count);
}

static void take_back(const step *s)
{
    for (int i = 0; i < MAX_STRINGS; i++) {
        size_t count = s->strings[i] ? strlen(s->strings[i]) + 1 : 0;

        memset(flush_strings[i] - count, UNTOUCHED, count);
    }
}

/* Where a call writes its output, if it is given one: when the dialogue says what is in it, or that it fails. */
static void *output(const step *s, size_t size)
{
    return s->out || s->result != 0 ? flush_output - size : 0;
}

static int is_untouched(void)
{
    for (size_t i = 1; i <= OUTPUT_SIZE; i++) {
        if ((unsigned char)flush_output[-(int)i] != UNTOUCHED)
            return 0;
    }
    return 1;
}

static int start_session(wire *v, imapconnect_session *session, const step *s, imapconnect_list *list)
{
    const transcript *t = v->t;

    switch (s->what) {
    case CONNECT:
        return imapconnect(session, t->server, t->user, t->password, v->w.bare ? 0 : on_log, list, t->secure,
                           t->verify);
    case NOOP:
        return imapconnect_noop(session, list);
    case COMMAND:
        return imapconnect_command(session, lend(s, 0), list);
    case DISCONNECT:
        return imapconnect_disconnect(session, list);
    case CHECK:
        return imapconnect_check(session, list);
    case ID:
        return imapconnect_id(session, lend(s, 0), lend(s, 1), list);
    case ENABLE:
        return imapconnect_enable(session, lend(s, 0), list);
    case IDLE:
        return imapconnect_idle(session, s->numbers[0], s->no_callback ? 0 : on_news, &v->row_used, list);
    default:
        imapconnect_close(session);
        return 0;
    }
}

static int start_mailbox(wire *v, imapconnect_session *session, const step *s, imapconnect_list *list)
{
    const char *name = lend(s, 0);

    switch (s->what) {
    case SELECT:
        return imapconnect_select_mailbox(session, name, output(s, sizeof(imapconnect_selection)), list);
    case EXAMINE:
        return imapconnect_examine_mailbox(session, name, output(s, sizeof(imapconnect_selection)), list);
    case CLOSE_MAILBOX:
        return imapconnect_close_mailbox(session, list);
    case UNSELECT:
        return imapconnect_unselect_mailbox(session, list);
    case LIST:
        return imapconnect_list_mailboxes(session, name, lend(s, 1), s->no_callback ? 0 : on_mailbox, &v->row_used,
                                          list);
    case LSUB:
        return imapconnect_list_subscribed_mailboxes(session, name, lend(s, 1), s->no_callback ? 0 : on_mailbox,
                                                     &v->row_used, list);
    case CREATE:
        return imapconnect_create_mailbox(session, name, list);
    case DELETE:
        return imapconnect_delete_mailbox(session, name, list);
    case SUBSCRIBE:
        return imapconnect_subscribe_mailbox(session, name, list);
    case UNSUBSCRIBE:
        return imapconnect_unsubscribe_mailbox(session, name, list);
    case RENAME:
        return imapconnect_rename_mailbox(session, name, lend(s, 1), list);
    case STATUS:
        return imapconnect_mailbox_status(session, name, output(s, sizeof(imapconnect_status)), list);
    default:
        return imapconnect_list_namespaces(session, s->no_callback ? 0 : on_namespace, &v->row_used, list);
    }
}

static int start_part(wire *v, imapconnect_session *session, const step *s, imapconnect_list *list)
{
    static imapconnect_part part;

    part.section = lend(s, 0);
    part.offset = s->numbers[1];
    part.count = s->numbers[2];
    part.mark_seen = s->mark_seen;
    return imapconnect_recv_part(session, s->numbers[0], &part, s->no_callback ? 0 : sink, &v->row_used, list);
}

static int start_message(wire *v, imapconnect_session *session, const step *s, imapconnect_list *list)
{
    uint32_t uid = s->numbers[0];
    imapconnect_sink to = s->no_callback ? 0 : sink;

    switch (s->what) {
    case MESSAGES:
        return imapconnect_list_messages(session, s->by, s->numbers[0], s->numbers[1],
                                         s->no_callback ? 0 : on_message, &v->row_used, list);
    case HEADERS:
        return imapconnect_recv_headers(session, uid, to, &v->row_used, list);
    case MESSAGE:
        return imapconnect_recv_message(session, uid, to, &v->row_used, list);
    case PART:
        return start_part(v, session, s, list);
    case FLAGS:
        return imapconnect_set_message_flags(session, uid, s->changes[ANSWERED], s->changes[DELETED],
                                             s->changes[DRAFT], s->changes[FLAGGED], s->changes[SEEN], list);
    case EXPUNGE:
        return imapconnect_expunge_messages(session, list);
    case COPY:
        return imapconnect_copy_message(session, uid, lend(s, 0), list);
    case MOVE:
        return imapconnect_move_message(session, uid, lend(s, 0), list);
    case SEARCH:
        return imapconnect_search(session, lend(s, 0), lend(s, 1), lend(s, 2), s->no_callback ? 0 : on_uid,
                                  &v->row_used, list);
    default:
        return imapconnect_append(session, lend(s, 0), s->flags, lend(s, 1), (uint32_t)s->source.count,
                                  s->no_callback ? 0 : source, &v->row_used, list);
    }
}

static int start(wire *v, imapconnect_session *session, const step *s, imapconnect_list *list)
{
    if (s->what < SELECT)
        return start_session(v, session, s, list);
    if (s->what < MESSAGES)
        return start_mailbox(v, session, s, list);
    return start_message(v, session, s, list);
}

/* How long a session may sleep: not beyond its time limit, nor beyond the moment of its next line. */
static uint32_t longest_sleep(const wire *v)
{
    const segment *s = &v->t->client[v->client_segment];
    uint32_t limit = v->t->timeout ? (uint32_t)v->t->timeout : 60000;

    if (current_step(v)->what == IDLE && limit < 480000)
        limit = 480000;
    if (v->w.raw_wants) /* what has left the server may not be here yet */
        return limit;
    if (v->client_segment == v->t->client_count || s->step != v->step || s->time == NO_TIME ||
        v->received < s->after || elapsed(v) >= s->time)
        return limit;
    return (uint32_t)smaller(limit, s->time - elapsed(v));
}

static void check_wants(wire *v, const imapconnect_session *session)
{
    uint32_t milliseconds = 0;
    int bits = imapconnect_wants(session, &milliseconds);

    if (bits & ~(IMAPCONNECT_READABLE | IMAPCONNECT_WRITABLE))
        broken(v, current_line(v), "wants something unknown");
    if (bits == 0 && milliseconds > 1000)
        broken(v, current_line(v), "wants nothing, for long");
    if (milliseconds > longest_sleep(v))
        broken(v, current_line(v), "wants to sleep beyond its time limit");
}

static int run_call(wire *v, imapconnect_session *session, const step *s, imapconnect_list *list)
{
    int result = start(v, session, s, list);

    for (long turns = 0; v->w.nonblocking && result == IMAPCONNECT_PENDING; turns++) {
        check_wants(v, session);
        if (!is_untouched())
            broken(v, s->line, "the output is written before the call has ended");
        if (turns > 200L * TURN_LIMIT) {
            broken(v, s->line, "pending for ever");
            break;
        }
        result = imapconnect_step(session);
    }
    if (result < 0 && !is_untouched())
        broken(v, s->line, "the output is written though the call has failed");
    take_back(s);
    return result;
}

static void check_result(wire *v, const step *s, int result)
{
    char message[120];

    if (s->what == CLOSE || result == s->result)
        return;
    snprintf(message, sizeof message, "the result is %d (%s), not %d (%s)", result, imapconnect_code_name(result),
             s->result, imapconnect_code_name(s->result));
    broken(v, s->line, message);
}

/* How much of the dialogue must have passed when a call is done. */
static void check_wire(wire *v, const step *s)
{
    const segment *next = &v->t->client[v->client_segment];

    /* A source that stops leaves some of what it gave in the transmit buffer. */
    if (v->client_segment < v->t->client_count && next->step <= v->step && !(s->what == APPEND && s->stop > 0))
        broken(v, next->line, "was not sent");
    if (s->took != NO_TIME && (elapsed(v) < s->took || elapsed(v) >= s->took + 1000))
        broken(v, s->line, "took longer, or not as long");
    if (s->result == 0 || s->result == SOCKET || !imapconnect_code_is_fatal(s->result))
        note_number("streamed", (long)v->streamed);
}

/* SECURITY.md section 3, 1: what left in clear holds no login, no user name and no secret. What is shorter than five
   bytes could be in there by chance. */
static void check_raw(wire *v, int line)
{
    static const char *const givers[] = {"LOGIN", "AUTHENTICATE"};
    size_t user = strlen(v->t->user);

    for (size_t i = 0; i < 2; i++)
        if (has_bytes(raw, raw_used, givers[i], strlen(givers[i])))
            broken(v, line, "a login left in clear");
    if (user > 4 && has_bytes(raw, raw_used, v->t->user, user))
        broken(v, line, "the user name left in clear");
    for (size_t i = 0; i < v->t->secret_count; i++)
        if (v->t->secrets[i].count > 4 && has_bytes(raw, raw_used, v->t->secrets[i].bytes, v->t->secrets[i].count))
            broken(v, line, "a secret left in clear");
}

/* A connect that failed is over whatever its number says; but for two, which disturb nothing. */
static int is_over(const step *s, int result)
{
    if (s->what == CONNECT)
        return result < 0 && result != IMAPCONNECT_E_BUSY && result != IMAPCONNECT_E_OPEN;
    return s->what != DISCONNECT && s->what != CLOSE && (s->over || imapconnect_code_is_fatal(result));
}

/* After a fatal error each call returns it again and sends nothing; then closing twice is harmless. */
static void check_end(wire *v, imapconnect_session *session, const step *last, int result)
{
    int line = last->line;

    if (v->t->is_tunnelled)
        check_raw(v, line);
    if (is_over(last, result)) {
        if (imapconnect_is_open(session))
            broken(v, line, "open after a fatal error");
        if (imapconnect_noop(session, 0) != result || imapconnect_command(session, "CHECK", 0) != result)
            broken(v, line, "the error does not stick");
        if (imapconnect_disconnect(session, 0) != result)
            broken(v, line, "disconnect does not return the error");
    }
    imapconnect_close(session);
    if (imapconnect_noop(session, 0) != IMAPCONNECT_E_NOT_OPEN)
        broken(v, line, "a closed session takes a command");
    if (imapconnect_disconnect(session, 0) != IMAPCONNECT_E_NOT_OPEN)
        broken(v, line, "a closed session can be disconnected");
    imapconnect_close(session);
    if (v->opens != v->t->opened || v->closes != v->opens)
        broken(v, line, "not closed exactly once");
    if (find_secret(v->t, (const char *)session, sizeof *session))
        broken(v, line, "a secret is in the closed session");
}

/* After a fault only its result and the secrets matter. When the dialogue holds an error of its own, that may
   have been the first. */
static void check_fault(wire *v, const imapconnect_session *session, const step *s, int result)
{
    char message[120];
    int cancelled = v->fault_result == IMAPCONNECT_E_CANCELLED && s->result < 0;

    unspoil(v);
    check_rows(v, s, 0);
    check_sink(v, s, 0);
    snprintf(message, sizeof message, "fault %d in call %d of its kind: the result is %d (%s), not %d", v->w.fault,
             v->w.fault_at, result, imapconnect_code_name(result), v->fault_result);
    if (v->t->has_tls ? result >= 0 : result != v->fault_result && !(cancelled && result == s->result))
        broken(v, s->line, message);
    if (find_secret(v->t, (const char *)session, sizeof *session))
        broken(v, s->line, "a secret is in the session after a fault");
    if (find_secret(v->t, v->log, v->log_used))
        broken(v, s->line, "a secret is in the log after a fault");
}

/* ---- what came out of the reference run, for the dialogues that are made of this one ---- */

static transcript *taking; /* 0: nothing is taken */

static int take_text(text *to, const char *bytes, size_t count)
{
    if (ARENA_SIZE - taking->arena_used <= count)
        return 0;
    to->bytes = taking->arena + taking->arena_used;
    to->count = count;
    memcpy(taking->arena + taking->arena_used, bytes, count);
    taking->arena[taking->arena_used + count] = '\0';
    taking->arena_used += count + 1;
    return 1;
}

/* The list is wanted as it was here; where there is no room for it, it is not looked at. */
static void take_list(step *to, const imapconnect_list *list)
{
    const char *entry = 0;
    int whole = 1;

    to->lists = taking->list_count;
    while (whole && (entry = imapconnect_list_next(list, entry)) != 0)
        whole =
            taking->list_count < MAX_TEXTS && take_text(&taking->lists[taking->list_count++], entry, strlen(entry));
    if (!whole)
        taking->list_count = to->lists;
    to->list_count = taking->list_count - to->lists;
    to->has_list = whole;
}

static void take_log(step *to, const char *log, size_t count)
{
    const char *end = log + count;
    int whole = !taking->log_varies;

    to->logs = taking->log_count;
    while (whole && log < end) {
        const char *stop = memchr(log, '\n', (size_t)(end - log));

        whole = stop && taking->log_count < MAX_TEXTS &&
                take_text(&taking->logs[taking->log_count++], log, (size_t)(stop - log));
        log = stop + 1;
    }
    if (!whole)
        taking->log_count = to->logs;
    to->log_count = taking->log_count - to->logs;
    to->has_log = whole;
}

static void take_texts(const wire *v, const imapconnect_list *list)
{
    take_list(&taking->steps[v->step], list);
    take_log(&taking->steps[v->step], v->log, v->log_used);
}

/* What each call had taken of the server's bytes when it ended, in the reference run, and where the last line of that
   began. */
static size_t taken[MAX_STEPS], last_lines[MAX_STEPS];

static void note_taken(const wire *v)
{
    size_t at = v->streamed;

    taken[v->step] = at;
    for (at -= at >= 2 ? 2 : at; at > 0 && peer_byte(v, at - 1) != '\n';)
        at--;
    last_lines[v->step] = at;
}

/* The server has gone away at this place: a call that needs more than came must fail, and one that does not is as it
   was. Behind a BYE that falls into the text of the tagged reply the call may end well. SECURITY.md section 3, 24 and
   25. */
static void check_cut(wire *v, const imapconnect_session *session, const step *s, int result)
{
    size_t least = v->w.cut == CUT_BYE ? last_lines[v->step] : taken[v->step];

    unspoil(v);
    if (v->bye_sent == 0) { /* it may have come in a literal, or in a name */
        check_rows(v, s, 0);
        check_sink(v, s, 0);
    }
    if (v->cut_done && s->what != CLOSE && result >= 0)
        broken(v, s->line, "success though the server has gone away");
    if (!v->cut_done && s->what != CLOSE && result >= 0 && v->w.split < least)
        broken(v, s->line, "success before all has come");
    if (!v->cut_done && v->bye_sent == 0)
        check_result(v, s, result);
    if (v->cut_done && imapconnect_is_open(session))
        broken(v, s->line, "open though the server has gone away");
    if (find_secret(v->t, (const char *)session, sizeof *session) || find_secret(v->t, v->log, v->log_used))
        broken(v, s->line, "a secret is left when the server has gone away");
}

static void check_step(wire *v, imapconnect_session *session, const step *s, imapconnect_list *list, int result)
{
    unspoil(v);
    check_result(v, s, result);
    check_wire(v, s);
    check_outputs(v, s);
    note_number("result", result);
    if (find_secret(v->t, (const char *)session, sizeof *session))
        broken(v, s->line, "a secret is in the session");
    if (s->open >= 0 && s->open != imapconnect_is_open(session))
        broken(v, s->line, "open, or not open");
    if (!v->w.bare && s->what != CLOSE) {
        check_list(v, s, list);
        check_log(v, s);
    }
    if (!v->w.bare && s->what != CLOSE && !is_cut_anywhere(s)) {
        note_list(list);
        note(v->log, v->t->log_varies ? 0 : v->log_used);
    }
    check_answers(v, s, session);
    note_taken(v);
    if (taking && !v->w.bare && s->what != CLOSE && !is_cut_anywhere(s))
        take_texts(v, list);
}

static void configure(wire *v, imapconnect_session *session)
{
    imapconnect_config config;

    imapconnect_config_init(&config);
    config.user = v;
    config.clock = wire_clock;
    config.on_response = on_response;
    config.nonblocking = v->w.nonblocking;
    config.refuse_cleartext = v->t->refuse_cleartext;
    config.auth = v->t->auth;
    config.scram_iterations = (uint32_t)v->t->iterations;
    config.max_reply = (uint32_t)v->t->max_reply;
    config.timeout = (uint32_t)v->t->timeout;
    config.idle_renew = (uint32_t)v->t->idle_renew;
    config.idle_poll = (uint32_t)v->t->idle_poll;
    config.transport.context = v;
    config.transport.open = wire_open;
    config.transport.read = wire_read;
    config.transport.write = wire_write;
    config.transport.close = wire_close;
    if (v->t->is_tunnelled) {
        config.transport.read = raw_read;
        config.transport.write = raw_write;
        config.transport.close = raw_close;
        config.wolfssl_ctx = client_context;
    }
    memset(session, 0xa5, sizeof *session);
    assert_int_equal(imapconnect_init(session, &config), 0);
}

static void begin_step(wire *v, int i)
{
    v->step = i;
    v->began = v->now;
    v->log_used = v->row_used = v->row_count = v->sink_used = v->given = 0;
    v->stalls = v->stopped = 0;
    memset(flush_output - OUTPUT_SIZE, UNTOUCHED, OUTPUT_SIZE);
}

/* Replays the dialogue once. What came out is in `record` then. Returns whether the fault, if any, came to pass. */
static int replay(const transcript *t, const char *file, const way *w)
{
    static wire v;
    imapconnect_session *session = (void *)(flush_session - sizeof *session);
    imapconnect_list list;
    const step *last = 0;
    int result = 0;

    memset(&v, 0, sizeof v);
    v.t = t;
    v.file = file;
    v.w = *w;
    v.now = 0xfffff000u; /* soon to wrap */
    v.log = log_lines;
    v.session = session;
    playing = &v;
    record_used = raw_used = 0;
    configure(&v, session);
    imapconnect_list_init(&list, flush_list - t->list_size, (size_t)t->list_size);
    for (size_t i = 0; i < t->step_count && v.failure[0] == '\0' && v.fault_result == 0 && !v.cut_done; i++) {
        last = &t->steps[i];
        begin_step(&v, (int)i);
        result = run_call(&v, session, last, w->bare ? 0 : &list);
        if (v.fault_result != 0)
            check_fault(&v, session, last, result);
        else if (w->cut != CUT_NOT)
            check_cut(&v, session, last, result);
        else
            check_step(&v, session, last, &list, result);
    }
    if (v.failure[0] == '\0')
        check_end(&v, session, last, result);
    else
        imapconnect_close(session);
    if (v.failure[0])
        fail_msg("%s", v.failure);
    return v.fault_result != 0;
}

static int is_deep; /* much more of everything, for hours */

/* ---- the matrix ------------------------------------------------------------------------------------ */

static void compare(const char *file, const way *w)
{
    if (w->bare)
        return;
    if (record_used != reference_used || memcmp(record, reference, record_used) != 0)
        fail_msg("%s: read %zu, write %zu, split %zu, wants %d, %s: other than all at once:\n%.*s\n-- "
                 "against --\n%.*s",
                 file, w->read_chunk, w->write_chunk, w->split, w->wants,
                 w->nonblocking ? "non-blocking" : "blocking", (int)record_used, record, (int)reference_used,
                 reference);
}

static void replay_and_compare(const transcript *t, const char *file, const way *w)
{
    replay(t, file, w);
    compare(file, w);
}

/* Pieces of one size, with and without would-block, both kinds of session. */
static void replay_chunks(const transcript *t, const char *file)
{
    static const size_t sizes[] = {1, 2, 3, 5, 7, 11, 13, 17, 31, 64, 100, 255, 511, 512, 513, ALL};

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        if (t->has_tls && sizes[i] != 1 && sizes[i] != ALL) /* a handshake costs much, and needs few */
            continue;
        for (int k = 0; k < 8; k++) {
            way w = all_at_once;

            w.read_chunk = sizes[i];
            w.write_chunk = k & 1 ? 1 : ALL;
            w.wants = k & 2 ? 1 + (int)i % 3 : 0;
            w.nonblocking = (k & 4) != 0;
            replay_and_compare(t, file, &w);
        }
    }
}

/* One cut at every place in the server's bytes. */
static void replay_splits(const transcript *t, const char *file)
{
    if (t->has_tls || t->peer_bytes > SPLIT_LIMIT)
        return;
    for (size_t place = 1; place < t->peer_bytes; place++) {
        way w = all_at_once;

        w.split = place;
        replay_and_compare(t, file, &w);
        w.split_wants = 1;
        w.nonblocking = 1;
        replay_and_compare(t, file, &w);
    }
}

/* Two cuts, at every pair of places. */
static void replay_pairs(const transcript *t, const char *file)
{
    way w = all_at_once;

    if (t->has_tls || t->peer_bytes > (size_t)(is_deep ? DEEP_LIMIT : PAIR_LIMIT))
        return;
    for (w.split = 1; w.split < t->peer_bytes; w.split++) {
        for (w.split2 = w.split + 1; w.split2 < t->peer_bytes; w.split2++) {
            w.nonblocking = w.split2 & 1;
            w.split_wants = w.nonblocking;
            replay_and_compare(t, file, &w);
        }
    }
}

/* The server goes away at every place, with BYE and without. What was taken in the reference run is still known. */
static void replay_cuts(const transcript *t, const char *file)
{
    size_t place, step_by = t->peer_bytes <= SPLIT_LIMIT ? 1 : t->peer_bytes / (is_deep ? SPLIT_LIMIT : 64);

    if (t->has_tls || !t->opened)
        return;
    for (place = 0; place < t->peer_bytes; place += step_by) {
        way w = all_at_once;

        w.split = place;
        for (w.cut = CUT_END; w.cut <= CUT_BYE; w.cut++) {
            w.nonblocking = (int)(place + (size_t)w.cut) & 1;
            replay(t, file, &w);
            if (is_deep) {
                w.nonblocking ^= 1;
                w.wants = 1;
                w.read_chunk = 1;
                replay(t, file, &w);
                w.wants = 0;
                w.read_chunk = ALL;
            }
        }
    }
}

/* Something fails from outside: in its first call, in its second, ... until the dialogue needs no further call.
   SECURITY.md section 3, 32. */
static void replay_faults(const transcript *t, const char *file)
{
    way w = all_at_once;

    for (w.fault = NO_FAULT + 1; w.fault < FAULTS; w.fault++) {
        w.fault_at = 1;
        while (w.fault_at < FAULT_LIMIT && replay(t, file, &w)) {
            w.nonblocking = w.fault_at & 1;
            w.fault_at++;
        }
    }
}

/* ---- the same dialogue through TLS and STARTTLS ---- */

/* A copy of `from` up to its arena, with no line and no text in it. */
static void begin_copy(transcript *to, const transcript *from, int secure)
{
    memcpy(to, from, offsetof(transcript, arena));
    to->arena_used = to->client_count = to->peer_count = to->peer_bytes = 0;
    to->list_count = to->log_count = 0;
    to->secure = secure;
    to->verify = 1;
    to->is_tunnelled = 1;
}

static void copy_client(reader *r, const segment *from, text data)
{
    segment *s = &r->t->client[r->t->client_count];

    if (r->t->client_count == MAX_SEGMENTS)
        bad_transcript(r, "too many lines", "");
    *s = *from;
    s->data = data;
    s->after = r->t->peer_bytes;
    r->t->client_count++;
}

static void copy_peer(reader *r, const segment *from, text data)
{
    segment *s = &r->t->peer[r->t->peer_count];

    if (r->t->peer_count == MAX_SEGMENTS)
        bad_transcript(r, "too many lines", "");
    *s = *from;
    s->data = data;
    s->after = r->t->client_count;
    r->t->peer_bytes += data.count;
    r->t->peer_count++;
}

/* The tag a7 becomes a9 when `by` is 2: that many commands went before. Returns how long it was, 0 when it is none. */
static size_t tag_length(const char *bytes, size_t count)
{
    size_t n = 1;

    if (count < 2 || *bytes != 'a' || bytes[1] == '0')
        return 0;
    while (n < count && n < 9 && bytes[n] >= '0' && bytes[n] <= '9')
        n++;
    return n > 1 && (n == count || bytes[n] == ' ' || bytes[n] == '\r') ? n : 0;
}

/* How many bytes of a literal follow on this line, which is without its CRLF: of the client's, or of the server's,
   whose texts hold none. */
static size_t literal_behind(const char *line, size_t count, int is_client)
{
    size_t at = count;

    static const char *const status[] = {"+", "* OK", "* NO", "* BAD", "* bad", "* BYE", "* PREAUTH"};
    char *end = 0;
    size_t size = 0;

    if (count < 4 || line[count - 1] != '}' || (!is_client && tag_length(line, count)))
        return 0;
    for (size_t i = 0; i < sizeof status / sizeof status[0]; i++)
        if (strncmp(line, status[i], strlen(status[i])) == 0)
            return 0;
    while (at > 0 && line[at - 1] != '{')
        at--;
    size = at == 0 ? 0 : (size_t)strtoul(line + at, &end, 10);
    return size && (end == line + count - 1 || (is_client && end == line + count - 2)) ? size : 0;
}

typedef struct shifter {
    size_t literal; /* bytes still to come */
    int is_inside;  /* of a line */
    int by;
    int is_client;
} shifter;

/* One run of bytes with the tags at the beginning of its lines changed. */
static text shift_tags(reader *r, shifter *s, text from)
{
    text to = {r->t->arena + r->t->arena_used, 0};

    for (size_t at = 0; at < from.count;) {
        const char *line = from.bytes + at, *end = memchr(line, '\n', from.count - at);
        size_t n = end ? (size_t)(end - line) + 1 : from.count - at;
        size_t tag = s->is_inside || s->literal ? 0 : tag_length(line, n);
        char number[24];

        if (s->literal) { /* to its end, and then goes on in the line */
            n = smaller(s->literal, from.count - at);
            s->literal -= n;
            s->is_inside = 1;
        } else {
            s->is_inside = !end;
            s->literal = end && n > 1 ? literal_behind(line, n - 2, s->is_client) : 0;
        }
        if (tag) {
            int made = snprintf(number, sizeof number, "a%lu", strtoul(line + 1, 0, 10) + (unsigned long)s->by);

            memcpy(allot(r, (size_t)made), number, (size_t)made);
        }
        memcpy(allot(r, n - tag), line + tag, n - tag);
        at += n;
    }
    to.count = (size_t)(r->t->arena + r->t->arena_used - to.bytes);
    *allot(r, 1) = '\0';
    return to;
}

/* A line of the log, or an entry of the list: the tag stands behind `mark` bytes. */
static text shift_text(reader *r, text from, size_t mark, int by)
{
    shifter s = {0, 0, by, 0};
    text head = {from.bytes, mark}, rest = {from.bytes + mark, from.count - mark}, to, last;

    if (from.count < mark)
        return from;
    s.is_inside = 1;
    to = shift_tags(r, &s, head);
    r->t->arena_used--; /* the NUL */
    s.is_inside = 0;
    last = shift_tags(r, &s, rest);
    to.count += last.count;
    return to;
}

static void add_text(reader *r, text *texts, size_t *count, const char *bytes)
{
    size_t length = strlen(bytes);
    char *copy = allot(r, length + 1);

    if (*count == MAX_TEXTS)
        bad_transcript(r, "too many texts", bytes);
    memcpy(copy, bytes, length + 1);
    texts[*count].bytes = copy;
    texts[(*count)++].count = length;
}

static void add_expected(reader *r, int is_log, const char *bytes)
{
    if (is_log)
        add_text(r, r->t->logs, &r->t->log_count, bytes);
    else
        add_text(r, r->t->lists, &r->t->list_count, bytes);
}

/* What comes before the dialogue itself, in the wire, the list and the log. */
typedef struct prelude {
    int secure, by;
    size_t dropped;                               /* segments of the server that are left out: the greeting */
    char capability[1024], ok[1024], login[1024]; /* the last two: what the server says to CAPABILITY and to LOGIN */
} prelude;

#define PLAIN_LOGIN "a3 LOGIN \"joe\" \"Xyzzy-42\""

#define PLAIN_GREETING "* OK [CAPABILITY IMAP4rev1 STARTTLS] plain"

/* Texts of the first call. */
static void add_prelude_texts(reader *r, const prelude *p, int is_log)
{
    const char *mark = is_log ? "S: " : "";
    char line[1100];

    if (is_log && p->secure == IMAPCONNECT_STARTTLS) {
        add_expected(r, 1, "S: " PLAIN_GREETING);
        add_expected(r, 1, "C: a1 STARTTLS");
        add_expected(r, 1, "S: a1 OK go");
    }
    if (is_log)
        add_expected(r, 1, r->t->is_tunnelled == 2 ? "N: " TUNNEL_SUITE2 : "N: " TUNNEL_SUITE);
    if (!p->capability[0])
        return;
    if (is_log)
        add_expected(r, 1, "C: a2 CAPABILITY");
    snprintf(line, sizeof line, "%s%s", mark, p->capability);
    add_expected(r, is_log, line);
    snprintf(line, sizeof line, "%s%s", mark, p->ok);
    add_expected(r, is_log, line);
    if (!p->login[0])
        return;
    if (is_log)
        add_expected(r, 1, "C: a3 LOGIN \"joe\" ***");
    snprintf(line, sizeof line, "%s%s", mark, p->login);
    add_expected(r, is_log, line);
}

static void copy_texts(reader *r, const transcript *from, const prelude *p, size_t i)
{
    const step *old = &from->steps[i];
    step *s = &r->t->steps[i];
    size_t skip = i == 0 ? p->dropped : 0;

    s->lists = r->t->list_count;
    s->logs = r->t->log_count;
    if (i == 0 && s->has_list && from->opened)
        add_prelude_texts(r, p, 0);
    for (size_t k = skip; s->has_list && k < old->list_count; k++)
        r->t->lists[r->t->list_count++] = shift_text(r, from->lists[old->lists + k], 0, p->by);
    if (i == 0 && s->has_log && from->opened)
        add_prelude_texts(r, p, 1);
    for (size_t k = skip; s->has_log && k < old->log_count; k++)
        r->t->logs[r->t->log_count++] = shift_text(r, from->logs[old->logs + k], 3, p->by);
    s->list_count = r->t->list_count - s->lists;
    s->log_count = r->t->log_count - s->logs;
}

static text line_of(reader *r, const char *line)
{
    text data = {0, strlen(line) + 2};
    char *bytes = allot(r, data.count);

    memcpy(bytes, line, data.count - 2);
    memcpy(bytes + data.count - 2, "\r\n", 2);
    data.bytes = bytes;
    return data;
}

static void add_prelude_lines(reader *r, const prelude *p)
{
    segment s;
    text none = {0, 0};

    memset(&s, 0, sizeof s);
    s.time = NO_TIME;
    if (p->secure == IMAPCONNECT_STARTTLS) {
        copy_peer(r, &s, line_of(r, PLAIN_GREETING));
        copy_client(r, &s, line_of(r, "a1 STARTTLS"));
        copy_peer(r, &s, line_of(r, "a1 OK go"));
    }
    s.kind = TLS;
    copy_client(r, &s, none);
    s.kind = BYTES;
    if (p->capability[0]) {
        copy_client(r, &s, line_of(r, "a2 CAPABILITY"));
        copy_peer(r, &s, line_of(r, p->capability));
        copy_peer(r, &s, line_of(r, p->ok));
    }
    if (p->login[0]) {
        copy_client(r, &s, line_of(r, PLAIN_LOGIN));
        copy_peer(r, &s, line_of(r, p->login));
    }
}

static void copy_lines(reader *r, const transcript *from, const prelude *p)
{
    shifter client = {0, 0, p->by, 1}, peer = {0, 0, p->by, 0};
    size_t next = p->dropped;

    for (size_t i = 0; i <= from->client_count; i++) {
        for (; next < from->peer_count && from->peer[next].after <= i; next++) {
            copy_peer(r, &from->peer[next], shift_tags(r, &peer, from->peer[next].data));
            if (from->peer[next].data.count && from->peer[next].data.bytes[0] != '+')
                client.literal = 0; /* it may have been refused */
        }
        if (i < from->client_count)
            copy_client(r, &from->client[i], shift_tags(r, &client, from->client[i].data));
    }
}

static int is_printable(const char *line, size_t count)
{
    for (; count; count--, line++)
        if (*line < 0x20 || *line > 0x7e)
            return 0;
    return 1;
}

/* In place of a greeting with a list, STARTTLS has the same list from CAPABILITY; and it has a LOGIN where the greeting
   is PREAUTH. Returns 0 when the greeting is another one. */
static int list_in_greeting(prelude *p, const transcript *from, const char *line, size_t count)
{
    static const char *const begins[] = {"* OK [CAPABILITY ", "* PREAUTH [CAPABILITY "};
    int is_preauth = count > 2 && line[2] == 'P';
    size_t begin = strlen(begins[is_preauth]);
    const char *close = memchr(line, ']', count);

    if (count < begin || memcmp(line, begins[is_preauth], begin) != 0 || !close || !is_printable(line, count))
        return 0;
    snprintf(p->capability, sizeof p->capability, "* CAPABILITY %.*s", (int)(close - line) - (int)begin,
             line + begin);
    snprintf(p->ok, sizeof p->ok, "a2 OK%.*s", (int)(line + count - close) - 1, close + 1);
    p->by = 2;
    if (!is_preauth)
        return from->client_count > 0 && from->client[0].step == 0;
    snprintf(p->login, sizeof p->login, "a3 OK %.*s", (int)count - 10, line + 10);
    p->by = 3;
    return from->steps[0].result == SOCKET && strcmp(from->user, "joe") == 0 &&
           strcmp(from->password, "Xyzzy-42") == 0 && !strstr(p->capability, "AUTH=") &&
           !strstr(p->capability, "LOGINDISABLED");
}

/* Returns 0 when the dialogue does not begin in a way that STARTTLS has, too. */
static int find_prelude(prelude *p, const transcript *from)
{
    const segment *greeting = &from->peer[0], *command = &from->client[0];
    size_t count = greeting->data.count;

    if (from->peer_count == 0 || greeting->after != 0 || count < 10 || count > 900 ||
        greeting->data.bytes[count - 1] != '\n')
        return 0;
    p->dropped = 1;
    p->by = 1;
    if (from->client_count > 0 && command->after == count && command->data.count == 15 &&
        memcmp(command->data.bytes, "a1 CAPABILITY\r\n", 15) == 0)
        return memcmp(greeting->data.bytes, "* OK", 4) == 0;
    return list_in_greeting(p, from, greeting->data.bytes, count - 2);
}

/* The dialogue `from` inside TLS. Returns 0 when it has no such form. */
static int make_tunnelled(transcript *to, const transcript *from, const char *file, int secure, int tls12)
{
    reader r = {0, 0, 0, 0, NO_TIME};
    prelude p;

    memset(&p, 0, sizeof p);
    p.secure = secure;
    if (secure == IMAPCONNECT_STARTTLS && from->opened && !find_prelude(&p, from))
        return 0;
    if (from->refuse_cleartext) /* inside TLS nothing is refused */
        return 0;
    begin_copy(to, from, secure);
    to->is_tunnelled = 1 + tls12;
    r.t = to;
    r.file = file;
    if (from->opened)
        add_prelude_lines(&r, &p);
    copy_lines(&r, from, &p);
    for (size_t i = 0; i < from->step_count; i++) {
        copy_texts(&r, from, &p, i);
        if (p.login[0])
            to->steps[i].answers[MECHANISM] = 0; /* LOGIN, and not PREAUTH */
        if (p.login[0] && i == 0)
            to->steps[0].answers[ANSWER] = 0; /* the same */
    }
    return 1;
}

/* Its list depends on how many bytes fit, or its log on how the bytes are cut. */
static int is_about_sizes(const transcript *t)
{
    for (size_t i = 0; i < t->step_count; i++)
        if (t->steps[i].truncated)
            return 1;
    return t->list_size != 16384;
}

/* An end without close_notify has a number of its own. */
static void end_bare(transcript *t)
{
    for (size_t i = 0; i < t->step_count; i++)
        if (t->steps[i].result == IMAPCONNECT_CLOSED)
            t->steps[i].result = IMAPCONNECT_E_TRUNCATED;
}

static size_t tunnelled[3]; /* dialogues that were replayed so, for each mode */

static void replay_tunnelled(const transcript *from, const char *file, int secure, size_t number)
{
    static transcript t;
    way w = all_at_once;

    w.tls12 = (int)(number + (size_t)secure) & 1;
    if (!make_tunnelled(&t, from, file, secure, w.tls12))
        return;
    tunnelled[secure]++;
    replay(&t, file, &w);
    memcpy(reference, record, record_used);
    reference_used = record_used;
    w.nonblocking = 1;
    w.raw_wants = !t.at_once;
    w.raw_chunk = number % 8 == 0 || is_deep ? 1 : 100;
    w.read_chunk = !t.at_once && (number % 3 == 0 || is_deep) ? 1 : ALL; /* so many bytes in a record */
    replay_and_compare(&t, file, &w);
    end_bare(&t);
    w.nonblocking = w.raw_wants = 0;
    w.raw_chunk = 0;
    w.bare_end = 1;
    replay(&t, file, &w);
}

/* Inside TLS other mechanisms may be tried, and SCRAM-SHA-256 says that it could be bound. */
static int is_about_clear(const transcript *t)
{
    return t->auth != 0 && ((t->auth & IMAPCONNECT_AUTH_IN_CLEAR) == 0 || t->refuse_cleartext != 0 ||
                            (t->auth & IMAPCONNECT_AUTH_SCRAM_SHA_256) != 0);
}

static void test_transcript(void **state)
{
    static transcript t;
    static transcript seen;
    static size_t number;
    const char *file = *state;
    way plain = all_at_once;

    load(&t, file);
    assert_true(t.list_size <= (int)LIST_SIZE);
    memcpy(&seen, &t, offsetof(transcript, arena));
    seen.arena_used = 0;
    seen.list_count = seen.log_count = 0;
    taking = t.secure == IMAPCONNECT_INSECURE && !t.has_tls ? &seen : 0;
    replay(&t, file, &plain);
    taking = 0;
    memcpy(reference, record, record_used);
    reference_used = record_used;
    plain.bare = 1;
    replay_and_compare(&t, file, &plain);
    plain.nonblocking = 1;
    plain.read_chunk = 1;
    replay_and_compare(&t, file, &plain);
    if (IS_ONCE)
        return;
    replay_chunks(&t, file);
    replay_splits(&t, file);
    replay_pairs(&t, file);
    replay_cuts(&t, file);
    replay_faults(&t, file);
    if (t.secure != IMAPCONNECT_INSECURE || t.has_tls || is_about_clear(&t))
        return;
    number++;
    replay_tunnelled(&seen, file, IMAPCONNECT_TLS, number);
    if (!is_about_sizes(&t))
        replay_tunnelled(&seen, file, IMAPCONNECT_STARTTLS, number);
}

/* ---- the files ------------------------------------------------------------------------------------- */

static struct CMUnitTest tests[MAX_FILES];
static char *names[MAX_FILES];
static size_t name_count;

/* Memory whose end is flush against a page that must not be touched. /dev/zero instead of MAP_ANONYMOUS:
 * POSIX. */
static char *flush_memory(int zero, size_t size)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t whole = (size + page - 1) / page * page;
    char *memory = mmap(0, whole + page, PROT_READ | PROT_WRITE, MAP_PRIVATE, zero, 0);

    if (memory == MAP_FAILED || mprotect(memory + whole, page, PROT_NONE) != 0) {
        perror("mmap");
        exit(2);
    }
    return memory + whole;
}

static void make_memory(void)
{
    int zero = open("/dev/zero", O_RDWR);

    flush_input = flush_memory(zero, INPUT_SIZE);
    flush_list = flush_memory(zero, LIST_SIZE);
    flush_session = flush_memory(zero, sizeof(imapconnect_session));
    flush_output = flush_memory(zero, OUTPUT_SIZE);
    for (int i = 0; i < MAX_STRINGS; i++)
        flush_strings[i] = flush_memory(zero, INPUT_SIZE);
    close(zero);
}

static void add_file(const char *folder, const char *name)
{
    size_t size = strlen(folder) + strlen(name) + 2;
    char *path = malloc(size);

    if (!path || name_count == MAX_FILES) {
        fprintf(stderr, "too many transcripts\n");
        exit(2);
    }
    snprintf(path, size, *name ? "%s/%s" : "%s%s", folder, name);
    names[name_count++] = path;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void find_files(const char *path)
{
    DIR *folder = opendir(path);
    const struct dirent *entry = 0;

    if (!folder) {
        add_file(path, "");
        return;
    }
    while ((entry = readdir(folder)) != 0) {
        size_t length = strlen(entry->d_name);

        if (length > 4 && strcmp(entry->d_name + length - 4, ".txt") == 0)
            add_file(path, entry->d_name);
    }
    closedir(folder);
    qsort(names, name_count, sizeof names[0], compare_names);
}

#ifdef IMAPCONNECT_NO_SASL

/* Does it name mechanisms? */
static int has_auth(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[8];
    int found = 0;

    while (file && !found && fgets(line, sizeof line, file))
        found = strncmp(line, "auth:", 5) == 0;
    if (file)
        fclose(file);
    return found;
}

/* With a header that knows no others, those of the documented order alone. */
static void drop_mechanisms(void)
{
    size_t kept = 0;

    for (size_t i = 0; i < name_count; i++)
        if (has_auth(names[i]))
            free(names[i]);
        else
            names[kept++] = names[i];
    name_count = kept;
}

#endif

static void make_client_context(void)
{
    tunnel_prepare();
    client_context = wolfSSL_CTX_new(wolfSSLv23_client_method());
    if (!client_context || wolfSSL_CTX_load_verify_buffer(client_context, tunnel_ca.bytes, tunnel_ca.count,
                                                          WOLFSSL_FILETYPE_ASN1) != WOLFSSL_SUCCESS) {
        fprintf(stderr, "no certificates\n");
        exit(2);
    }
}

/* The tests are known only when the folder has been read: no TEST_MAIN here. */
int main(int count, char **arguments)
{
    const char *path = getenv("TRANSCRIPTS");
    int failed = 0;

    is_deep = getenv("DEEP") != 0;
    if (count > 1)
        path = arguments[1];
    find_files(path ? path : "tests/transcripts");
#ifdef IMAPCONNECT_NO_SASL
    drop_mechanisms();
#endif
    for (size_t i = 0; i < name_count; i++) {
        const char *base = strrchr(names[i], '/');

        tests[i].name = base ? base + 1 : names[i];
        tests[i].test_func = test_transcript;
        tests[i].initial_state = names[i];
    }
    make_memory();
    if (!IS_ONCE)
        make_client_context();
    failed = cmocka_run_group_tests_name("transcripts", tests, 0, 0);
    for (size_t i = 0; i < name_count; i++)
        free(names[i]);
    printf("%zu through TLS, %zu through STARTTLS\n", tunnelled[IMAPCONNECT_TLS], tunnelled[IMAPCONNECT_STARTTLS]);
    if (!IS_ONCE) {
        wolfSSL_CTX_free(client_context);
        tunnel_finish();
    }
    return test_report(name_count, failed);
}
