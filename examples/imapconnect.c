/* imapconnect: look at an IMAP server, and at the mail on it, from the command line.

       imapconnect -u joe imap.example.org list
       imapconnect -u joe imap.example.org message 7 >7.eml
       imapconnect -u joe imap.example.org "SELECT INBOX" "FETCH 1 BODY[]"
       imapconnect --check imap.example.org

   It connects, carries out a sub-command, or sends each COMMAND as it stands, and logs out. A sub-command prints for
   people and for scripts: a line for each row, tabs between its columns. Where COMMANDs are sent, what the server
   answers goes to standard output. With --check it does not log in, and says what the server offers.

   The sub-commands are the table `commands`, with the functions that carry them out before it: there the calls of
   imapconnect.h can be seen at work. All that is IMAP ends with check(). What is behind it reads the command line and
   gets the password.

   cc -std=c99 -D_POSIX_C_SOURCE=200809L -O2 imapconnect.c -o imapconnect -lwolfssl */

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define IMAPCONNECT_READ_SIZE 16384 /* one TLS record: long messages come in fewer pieces */
#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#define EXIT_FAILED  1       /* something was not answered OK */
#define EXIT_USAGE   2       /* the command line itself is wrong */
#define MAX_SECONDS  2147483 /* as milliseconds it fits in 31 bits */
#define MAX_CRITERIA 8000    /* bytes: servers need not take longer commands, RFC 7162 section 4 */
#define LONG_MESSAGE 262144  /* bytes: from here on it is shown how much has come */
#define HELP_COLUMN  25      /* width of a sub-command and its words in the help */
#define FLAGS        5       /* how many can be set */
#define MAX_PINS     8
#define CHECK_TIME   10 /* seconds for each step of --check: many servers leave one of the ports unanswered */

static const char usage_line[] = "usage: imapconnect [options] SERVER[:PORT] [SUB-COMMAND ... | COMMAND ...]\n";

static const char usage_options[] =
    "      --check            no login: what SERVER offers, which way in is taken, what is weak; 0: a safe one is "
    "there\n"
    "  -u, --user NAME        user name; else $IMAPCONNECT_USER\n"
    "  -p, --password TEXT    password (seen by ps); else $IMAPCONNECT_PASSWORD, else you are asked\n"
    "      --password-command COMMAND\n"
    "                         run by sh; the first line that it prints is the password, or the token\n"
    "  -a, --auth NAMES       ways to log in: auto (the default; CRAM-MD5, then LOGIN), strongest, or by name, with\n"
    "                         commas: scram-sha-256,plain; in-clear among them allows those for TLS without it\n"
    "      --token FILE       its first line is the token for --auth oauthbearer,xoauth2; else $IMAPCONNECT_TOKEN\n"
    "      --cert FILE        a certificate of yours (PEM), for a server that asks for one, and --auth external\n"
    "      --key FILE         its key; without it in the same file\n"
    "      --pin PIN          SHA-256 of the server's public key, hex or base64; several times: one of them fits\n"
    "      --id               tells the server the name of this program after the login (NetEase wants that)\n"
    "  -s, --secure MODE      0|none, 1|tls (the default), 2|starttls\n"
    "  -k, --no-verify        do not verify the server's certificate\n"
    "  -C, --cacerts PATH     folder or file of trusted CA certificates (PEM)\n"
    "  -m, --mailbox NAME     the sub-command's mailbox, in UTF-8; the default is INBOX\n"
    "  -t, --timeout SECONDS  limit for each step; the default is 60, and 10 with --check\n"
    "  -v, --verbose          protocol log on standard error (C: and S: lines), secrets masked\n"
    "  -h, --help             this text\n"
    "      --version          the version\n"
    "Options stand before SERVER, and -- ends them. Exit status: 0 all was answered OK, 1 not so, 2 bad "
    "usage.\n";

/* What a capability list says: the bits of config.auth, and these. LOGIN is there unless LOGINDISABLED is. */
#define OFFERS_STARTTLS      0x10000
#define OFFERS_LOGINDISABLED 0x20000
#define OFFERS_PREAUTH       0x40000 /* no login at all */

typedef struct offer {
    int listed; /* 0: there was no list */
    int bits;
    char others[160]; /* mechanisms that are not for us */
} offer;

typedef struct checked { /* by one connection */
    int secure;
    int inside;      /* 1: TLS is up */
    int preauth;     /* 1: everyone is logged in already */
    int complete;    /* 1: all has been seen, and nothing more is sent */
    int certificate; /* why TLS came only without verification; or 0 */
    offer offers[2]; /* in clear, and inside TLS */
    char tls[80];    /* version and cipher suite */
    char line[8192];
    size_t length;
} checked;

typedef struct program {
    const char *user;
    const char *password;
    const char *password_command;
    const char *token_file;
    const char *cacerts;
    const char *mailbox; /* 0: none was named */
    int secure;          /* -1: not named */
    int verify;
    int no_verify;
    int verbose;
    int checks;       /* 1: --check */
    int identifies;   /* 1: --id */
    int auth;         /* -1: not named */
    unsigned seconds; /* 0: not named */
    imapconnect_tls_options tls;
    uint8_t pins[MAX_PINS * IMAPCONNECT_PIN_SIZE];
    char secret[IMAPCONNECT_MAX_TOKEN + 2]; /* not from the environment; more than the library takes */
    char why[400];                          /* what is wrong with the value of an option */
    int quiet;                              /* 1: responses are not for standard output now */
    int line_open;                          /* 1: the last line on standard output has not ended */
    int log_open;                           /* 1: the last line of the log has not ended */
    int write_errno;                        /* why standard output failed */
    int failure;                            /* the first error, or 0 */
    char said[800];                         /* what there is to say about it, before the last line */
    const char *advice;                     /* what could be done about it, or 0 */

    /* The sub-command, 0 when there is none, and what its words came to. */
    const struct command *command;
    const char *pattern;         /* of ls */
    uint32_t uid;                /* of headers, message, flags */
    int flags[FLAGS];            /* IMAPCONNECT_ADD, _LEAVE or _REMOVE, in the order of flag_names */
    unsigned watch_seconds;      /* 0: until a signal comes */
    FILE *letter;                /* of append */
    uint32_t letter_size;        /* bytes, each line end counted as two */
    uint32_t letter_left;        /* of them, not sent yet */
    int letter_before;           /* the byte that was last read */
    char criteria[MAX_CRITERIA]; /* of search */
    const char *text;            /* of search, behind the criteria; or 0 */

    /* While it runs. */
    imapconnect_session *imap;
    imapconnect_selection selection; /* the mailbox that is open */
    uint32_t rows;                   /* how many messages were listed */
    size_t announced;                /* bytes of the message ... */
    size_t received;                 /* ... and how many of them have come */
    int shows_progress;              /* 1: how much has come is shown */
    int percent;                     /* as it is shown now; -1: nothing is */
    const char *complaint;           /* why a callback of ours ended the session */
    checked check;
    int safe; /* 1: it has found a safe way in */
} program;

#define MANY 0xffff

enum opening { OPENS_NOTHING, OPENS_TO_READ, OPENS_TO_WRITE };

typedef struct command {
    const char *name;
    const char *usage; /* the words behind it */
    unsigned least;    /* how many there must be ... */
    unsigned most;     /* ... and may be */
    int mailbox;       /* 1: it needs one, and it is opened so: */
    enum opening opening;
    int (*take)(program *, char **words); /* 0: there are no words */
    int (*run)(program *);
    const char *help;
} command;

/* Through a volatile pointer, so that the compiler does not leave it out. */
static void wipe(char *bytes, size_t count)
{
    volatile char *p = bytes;
    while (count-- > 0)
        *p++ = 0;
}

static int flush_output(program *p)
{
    if (fflush(stdout) == 0 && !ferror(stdout))
        return 0;
    if (p->write_errno == 0)
        p->write_errno = errno;
    return IMAPCONNECT_E_CANCELLED;
}

/* ---- what a server offers ---- */

typedef struct mechanism {
    const char *name;
    int bit; /* of config.auth */
} mechanism;

/* In the order in which the library tries them. */
static const mechanism mechanisms[] = {
    {"EXTERNAL", IMAPCONNECT_AUTH_EXTERNAL},
    {"OAUTHBEARER", IMAPCONNECT_AUTH_OAUTHBEARER},
    {"XOAUTH2", IMAPCONNECT_AUTH_XOAUTH2},
    {"SCRAM-SHA-256-PLUS", IMAPCONNECT_AUTH_SCRAM_SHA_256_PLUS},
    {"SCRAM-SHA-256", IMAPCONNECT_AUTH_SCRAM_SHA_256},
    {"SCRAM-SHA-1", IMAPCONNECT_AUTH_SCRAM_SHA_1},
    {"CRAM-MD5", IMAPCONNECT_AUTH_CRAM_MD5},
    {"PLAIN", IMAPCONNECT_AUTH_PLAIN},
    {"LOGIN", IMAPCONNECT_AUTH_LOGIN},
};
#define MECHANISMS (sizeof mechanisms / sizeof mechanisms[0])
#define TOKENS     (IMAPCONNECT_AUTH_OAUTHBEARER | IMAPCONNECT_AUTH_XOAUTH2)
#define PASSWORDS  (IMAPCONNECT_AUTH_PLAIN | IMAPCONNECT_AUTH_LOGIN)
#define SHOWN      (IMAPCONNECT_AUTH_EXTERNAL | TOKENS | PASSWORDS) /* to who reads the line */
#define SCRAM      (IMAPCONNECT_AUTH_SCRAM_SHA_256_PLUS | IMAPCONNECT_AUTH_SCRAM_SHA_256 | IMAPCONNECT_AUTH_SCRAM_SHA_1)

/* The bit of the mechanism with this name, in any letter case; 0 for a name that is none. */
static int find_mechanism(const char *name, size_t length)
{
    for (size_t i = 0; i < MECHANISMS; i++)
        if (strlen(mechanisms[i].name) == length && strncasecmp(mechanisms[i].name, name, length) == 0)
            return mechanisms[i].bit;
    return 0;
}

/* AUTH=LOGIN is not the LOGIN command, which has no atom, but another form of it, which is not used here. */
static void read_mechanism(offer *o, const char *name)
{
    int bit = find_mechanism(name, strlen(name));
    size_t used = strlen(o->others);
    if (bit == 0 && used + strlen(name) + 2 <= sizeof o->others)
        snprintf(o->others + used, sizeof o->others - used, "%s%s", used > 0 ? " " : "", name);
    if (bit != IMAPCONNECT_AUTH_LOGIN)
        o->bits |= bit;
}

static void read_capabilities(offer *o, char *list)
{
    memset(o, 0, sizeof *o);
    o->listed = 1;
    o->bits = IMAPCONNECT_AUTH_LOGIN;
    list[strcspn(list, "]")] = 0;
    for (const char *atom = strtok(list, " "); atom != 0; atom = strtok(0, " ")) {
        if (strncasecmp(atom, "AUTH=", 5) == 0)
            read_mechanism(o, atom + 5);
        if (strcasecmp(atom, "STARTTLS") == 0)
            o->bits |= OFFERS_STARTTLS;
        if (strcasecmp(atom, "LOGINDISABLED") == 0)
            o->bits = (o->bits & ~IMAPCONNECT_AUTH_LOGIN) | OFFERS_LOGINDISABLED;
    }
}

/* Where the list begins in this line of the server's; 0: it has none. The lists that count before a login stand in the
   greeting and in the answer to CAPABILITY, RFC 3501 sections 7.1 and 7.2.1. */
static char *capabilities_in(char *line)
{
    static const char *const before[] = {"* CAPABILITY ", "* OK [CAPABILITY ", "* PREAUTH [CAPABILITY "};
    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        if (strncasecmp(line, before[i], strlen(before[i])) == 0)
            return line + strlen(before[i]);
    return 0;
}

/* The bytes of the server's, for --check. Once the last list has come that there is to see, 1 cancels the session: from
   then on the library sends nothing more. */
static int on_checked(checked *c, int event, const char *bytes, size_t count)
{
    char *list;
    if (event == IMAPCONNECT_LINE) {
        if (count > sizeof c->line - 1 - c->length)
            count = sizeof c->line - 1 - c->length;
        memcpy(c->line + c->length, bytes, count);
        c->length += count;
    }
    if (event == IMAPCONNECT_RESTART)
        c->inside = 1;
    if (event != IMAPCONNECT_LINE_END)
        return 0;
    c->line[c->length] = 0;
    c->length = 0;
    c->preauth |= strncasecmp(c->line, "* PREAUTH", 9) == 0;
    list = capabilities_in(c->line);
    if (list != 0)
        read_capabilities(&c->offers[c->inside], list);
    if (list != 0 && c->preauth)
        c->offers[c->inside].bits |= OFFERS_PREAUTH;
    c->complete = c->offers[c->inside].listed && (c->inside || c->secure == IMAPCONNECT_INSECURE);
    return c->complete;
}

/* ---- what is written out ---- */

/* A program may be started with standard output closed. The next file that is opened would get its number:
   the socket, and responses would go to the server. Read-only, so that writing fails as it should. */
static void occupy_standard_files(void)
{
    int file;
    do
        file = open("/dev/null", O_RDONLY);
    while (file >= 0 && file <= STDERR_FILENO);
    if (file >= 0)
        close(file);
}

#define PROGRESS_WIDTH 40

static void hide_progress(program *p)
{
    if (p->percent >= 0)
        fprintf(stderr, "\r%*s\r", PROGRESS_WIDTH, "");
    p->percent = -1;
}

static void show_progress(program *p)
{
    int percent = (int)((uint64_t)p->received * 100 / p->announced);
    if (percent == p->percent)
        return;
    p->percent = percent;
    fprintf(stderr, "\r%*.1f of %.1f MB, %d %%", PROGRESS_WIDTH - 30, (double)p->received / 1e6,
            (double)p->announced / 1e6, percent);
}

/* What a sub-command wants to know of the responses: the size of the message, which is a literal. */
static int on_literal(program *p, int event, size_t size)
{
    if (event == IMAPCONNECT_LITERAL_BEGIN)
        p->announced = size;
    if (event == IMAPCONNECT_LITERAL_END)
        hide_progress(p);
    return 0;
}

/* Every byte of every response comes by here. A line end becomes LF; a literal stays as it is. */
static int on_response(void *user, int event, const char *bytes, size_t count)
{
    program *p = user;
    if (p->checks)
        return on_checked(&p->check, event, bytes, count);
    if (p->command != 0)
        return on_literal(p, event, count);
    if (event == IMAPCONNECT_RESTART)
        p->quiet = 0;
    if (p->quiet || event == IMAPCONNECT_RESTART || event == IMAPCONNECT_LITERAL_END)
        return 0;
    if (event == IMAPCONNECT_LINE_END || event == IMAPCONNECT_LITERAL_BEGIN) {
        bytes = "\n";
        count = 1;
    }
    if (count > 0)
        p->line_open = bytes[count - 1] != '\n';
    if (fwrite(bytes, 1, count, stdout) == count)
        return 0;
    p->write_errno = errno;
    return 1; /* cancels the session: IMAPCONNECT_E_CANCELLED */
}

/* The library's remark is what TLS came to. It may come in pieces. */
static int on_log(void *user, int direction, const char *bytes, size_t count)
{
    program *p = user;
    size_t used = strlen(p->check.tls);
    if (direction & IMAPCONNECT_LOG_NOTE)
        snprintf(p->check.tls + used, sizeof p->check.tls - used, "%.*s", (int)count, bytes);
    if (!p->verbose)
        return 0;
    if (!p->log_open)
        fputs(direction & IMAPCONNECT_LOG_SENT       ? "C: "
              : direction & IMAPCONNECT_LOG_RECEIVED ? "S: "
                                                     : "*: ",
              stderr);
    fwrite(bytes, 1, count, stderr);
    p->log_open = (direction & IMAPCONNECT_LOG_MORE) != 0;
    if (!p->log_open)
        fputc('\n', stderr);
    return 0;
}

/* Bytes from the server must not steer the terminal: copies printable ASCII, and any other byte as \xNN. */
static void escape(char *out, size_t size, const char *text)
{
    size_t used = 0;
    for (; *text != 0 && used + 5 <= size; text++)
        if (*text >= 0x20 && *text < 0x7f)
            out[used++] = *text;
        else
            used += (size_t)snprintf(out + used, size - used, "\\x%02X", (unsigned)(unsigned char)*text);
    out[used] = 0;
}

/* NO, BAD or BYE was the last answer. */
static int is_refusal(const imapconnect_session *imap)
{
    return imapconnect_answer(imap)[0] == 'N' || imapconnect_answer(imap)[0] == 'B';
}

/* Keeps the first failure, and what there is to say about it while the session still knows. */
static void remember(program *p, const imapconnect_session *imap, int code)
{
    const char *answer = imapconnect_answer(imap), *response_code = imapconnect_response_code(imap);
    int vouched_for = imapconnect_is_encrypted(imap) && p->verify;
    char words[IMAPCONNECT_CODE_SIZE + IMAPCONNECT_TEXT_SIZE + 80] = "";
    if (p->failure != 0)
        return;
    p->failure = code;
    if (p->write_errno != 0)
        snprintf(words, sizeof words, "cannot write standard output: %s", strerror(p->write_errno));
    else if (p->complaint != 0)
        snprintf(words, sizeof words, "%s", p->complaint);
    else if (is_refusal(imap))
        snprintf(words, sizeof words, "%s: %s%s%s%s %s",
                 vouched_for ? "the server said" : "the server, or someone on the way, said", answer,
                 response_code[0] ? " [" : "", response_code, response_code[0] ? "]" : "",
                 imapconnect_server_text(imap));
    escape(p->said, sizeof p->said, words);
}

static const char wrong_password[] = "look at user name and password. Many providers want an app password, which is "
                                     "made in the account's settings, or "
                                     "a token: --auth oauthbearer,xoauth2";

/* What could be done when no session came about: for the server's reason, or for the code. The first row counts. */
static const char *advise(int code, int reason)
{
    static const struct advice {
        int reason, code;
        const char *text;
    } table[] = {
        {IMAPCONNECT_REASON_UNAVAILABLE, 0,
         "a part of the server is down, the password may be right: try again later"},
        {IMAPCONNECT_REASON_LIMIT, 0,
         "too many connections, or tries: close other mail programs, and try again later"},
        {IMAPCONNECT_REASON_EXPIRED, 0, "the password was right once, and has expired: renew it with the provider"},
        {IMAPCONNECT_REASON_PRIVACYREQUIRED, 0, "the server takes no password without TLS: -s tls, or -s starttls"},
        {IMAPCONNECT_REASON_CONTACTADMIN, 0, "nothing that you could mend: ask whoever runs the server"},
        {0, IMAPCONNECT_E_TOKEN,
         "get a new token for this account, with the scope for IMAP: they live for an hour or so"},
        {IMAPCONNECT_REASON_AUTHORIZATIONFAILED, 0, "the secret is right, but not for this user name: look at -u"},
        {IMAPCONNECT_REASON_ALERT, 0,
         "the server's words are meant for you. Many providers want an app password, which is made in the account's "
         "settings, or have IMAP switched on there"},
        {IMAPCONNECT_REASON_AUTHENTICATIONFAILED, 0, wrong_password},
        {0, IMAPCONNECT_E_LOGIN_REJECTED, wrong_password},
        {0, IMAPCONNECT_E_NO_LOGIN,
         "try --auth strongest, and TLS if it was without; --check says which ways in there are"},
        {0, IMAPCONNECT_E_NO_MECHANISM, "--check says which ways in there are; some are there inside TLS alone"},
        {0, IMAPCONNECT_E_CLEARTEXT, "use -s tls or -s starttls; in-clear behind --auth lets everyone read it"},
        {0, IMAPCONNECT_E_SCRAM,
         "look at the password. If it is right, this is not your server: do not try a weaker mechanism"},
        {0, IMAPCONNECT_E_NO_STARTTLS, "try -s tls. If there was STARTTLS before, somebody is in the way"},
        {0, IMAPCONNECT_E_NO_CA,
         "name the CA with -C; on Debian /etc/ssl/certs/ca-certificates.crt has all public ones"},
        {0, IMAPCONNECT_E_UNTRUSTED, "if the server is yours, name its CA with -C; otherwise do not go on"},
        {0, IMAPCONNECT_E_NAME, "use the name that the provider gives for IMAP; otherwise do not go on"},
        {0, IMAPCONNECT_E_EXPIRED, "look at the date of this machine; otherwise ask whoever runs the server"},
        {0, IMAPCONNECT_E_NOT_YET_VALID, "look at the date of this machine; otherwise ask whoever runs the server"},
        {0, IMAPCONNECT_E_PIN, "ask whoever runs the server whether it has a new key, before you pin another"},
        {0, IMAPCONNECT_E_OWN_CERTIFICATE, "--cert and --key take PEM that is not encrypted, and belong together"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].reason != 0 ? table[i].reason == reason : table[i].code == code)
            return table[i].text;
    return 0;
}

static void last_line(char *line, size_t size, int code)
{
    snprintf(line, size, "imapconnect: %s (%d): %s\n", imapconnect_code_name(code), code, imapconnect_strerror(code));
}

/* Returns the exit status. */
static int report(const program *p)
{
    char line[400];
    if (p->failure == 0)
        return EXIT_SUCCESS;
    if (p->log_open || p->line_open) /* both may go to one terminal */
        fputc('\n', stderr);
    if (p->said[0] != 0)
        fprintf(stderr, "imapconnect: %s\n", p->said);
    if (p->advice != 0)
        fprintf(stderr, "imapconnect: %s\n", p->advice);
    last_line(line, sizeof line, p->failure);
    fputs(line, stderr);
    return EXIT_FAILED;
}

/* ---- rows ----

   Names are the server's, and must not steer the terminal or break the columns: what could is written as \xNN. A
   function that takes rows returns 1 when standard output has failed, which ends the session. */

/* The UTF-8 character at `text`, which ends in NUL, and how many bytes it has: 0 when it is none. */
static size_t decode(const char *text, uint32_t *character)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    uint32_t first = (unsigned char)text[0];
    size_t length = first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0;
    *character = length <= 1 ? first : first & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80)
            return 0;
        *character = *character << 6 | ((unsigned char)text[i] & 0x3f);
    }
    if (length == 0 || *character < least[length] || *character > 0x10ffff || (*character >> 11) == 0x1b)
        return 0; /* RFC 3629 section 3: longer than need be, too large, a surrogate */
    return length;
}

/* Controls, and what turns the direction of the text round or breaks a line. */
static int steers(uint32_t character)
{
    static const uint32_t ranges[][2] = {{0, 0x1f},        {0x7f, 0x9f},     {0x61c, 0x61c},
                                         {0x200e, 0x200f}, {0x2028, 0x202e}, {0x2066, 0x2069}};
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++)
        if (character >= ranges[i][0] && character <= ranges[i][1])
            return 1;
    return 0;
}

/* `raw`: it is not UTF-8, so that nothing but ASCII may go out as it is. */
static void print_text(const char *text, int raw)
{
    while (*text != 0) {
        uint32_t character;
        size_t length = decode(text, &character), i;
        int as_it_is = length > 0 && !steers(character) && (!raw || length == 1);
        if (length == 0)
            length = 1;
        for (i = 0; i < length; i++)
            printf(as_it_is ? "%c" : "\\x%02X", (unsigned)(unsigned char)text[i]);
        text += length;
    }
}

typedef struct keyword {
    const char *name;
    int counts;
} keyword;

/* Those that count, with blanks between them; "-" when none does. */
static void print_words(const keyword *words, size_t count)
{
    const char *before = "";
    for (size_t i = 0; i < count; i++)
        if (words[i].counts) {
            printf("%s%s", before, words[i].name);
            before = " ";
        }
    puts(before[0] == 0 ? "-" : "");
}

static void print_flags(const imapconnect_flags *flags)
{
    const keyword words[] = {{"answered", flags->answered}, {"deleted", flags->deleted}, {"draft", flags->draft},
                             {"flagged", flags->flagged},   {"recent", flags->recent},   {"seen", flags->seen}};
    print_words(words, sizeof words / sizeof words[0]);
}

static int output_failed(program *p)
{
    if (ferror(stdout) && p->write_errno == 0)
        p->write_errno = errno;
    return p->write_errno != 0;
}

static int print_mailbox(void *user, const imapconnect_mailbox *row)
{
    const char separator[2] = {row->separator, 0};
    const keyword words[] = {{"haschildren", row->has_children == 1},
                             {"hasnochildren", row->has_children == 0},
                             {"noinferiors", row->no_inferiors},
                             {"noselect", row->no_select},
                             {"marked", row->marked},
                             {"unmarked", row->unmarked},
                             {"raw", row->raw}};
    print_text(row->raw ? row->name + 1 : row->name, row->raw);
    putchar('\t');
    print_text(separator[0] != 0 ? separator : "NIL", 1);
    putchar('\t');
    print_words(words, sizeof words / sizeof words[0]);
    return output_failed(user);
}

static int print_message(void *user, const imapconnect_message *row)
{
    program *p = user;
    p->rows++;
    printf("%" PRIu32 "\t%" PRIu32 "\t", row->uid, row->size);
    print_text(row->internal_date, 1);
    putchar('\t');
    print_flags(&row->flags);
    return output_failed(p);
}

static int print_uid(void *user, uint32_t uid)
{
    printf("%" PRIu32 "\n", uid);
    return output_failed(user);
}

/* At once, whoever reads it. */
static int print_news(void *user, int what, uint32_t number)
{
    static const char *const names[] = {"", "exists", "expunge", "recent", "flags"};
    printf("%s %" PRIu32 "\n", names[what], number);
    fflush(stdout);
    return output_failed(user);
}

static int take_bytes(void *user, const void *bytes, size_t count)
{
    program *p = user;
    p->received += count;
    p->line_open = ((const char *)bytes)[count - 1] != '\n';
    if (p->shows_progress && p->announced >= LONG_MESSAGE)
        show_progress(p);
    if (fwrite(bytes, 1, count, stdout) == count)
        return 0;
    return output_failed(p);
}

/* ---- the words behind a sub-command ----

   They are looked at before anything is connected. Each function takes those of one sub-command, and returns 0 after a
   complaint. */

static int bad_words(const program *p, const char *what, const char *shown)
{
    const command *c = p->command;
    fprintf(stderr, "imapconnect: %s: %s%s%s\n", c->name, what, shown[0] != 0 ? ": " : "", shown);
    fprintf(stderr, "usage: imapconnect [options] SERVER[:PORT] %s%s%s\n", c->name, c->usage[0] != 0 ? " " : "",
            c->usage);
    return 0;
}

/* A decimal number from 1 to `most`; 0 for any other text. */
static uint32_t parse_number(const char *text, uint32_t most)
{
    uint64_t number = 0;
    for (; *text >= '0' && *text <= '9' && number <= most; text++)
        number = number * 10 + (uint64_t)(*text - '0');
    return *text == 0 && number <= most ? (uint32_t)number : 0;
}

static const char not_a_line[] = "not UTF-8, or more than a line";

/* UTF-8 that can be sent in a command. */
static int is_line(const char *text)
{
    uint32_t character = 0;
    while (*text != 0 && character != '\r' && character != '\n') {
        size_t length = decode(text, &character);
        if (length == 0)
            return 0;
        text += length;
    }
    return character != '\r' && character != '\n';
}

/* Behind 0xFF a name is sent as it is: so those that `ls` calls raw can be named, too. */
static int is_name(const char *text)
{
    return (unsigned char)text[0] == 0xff ? strpbrk(text, "\r\n") == 0 : is_line(text);
}

static int take_pattern(program *p, char **words)
{
    p->pattern = words[0] != 0 ? words[0] : "*";
    return is_name(p->pattern) || bad_words(p, not_a_line, p->pattern);
}

static int take_uid(program *p, char **words)
{
    p->uid = parse_number(words[0], UINT32_MAX);
    return p->uid != 0 || bad_words(p, "not a UID", words[0]);
}

static const char *const flag_names[FLAGS] = {"answered", "deleted", "draft", "flagged", "seen"};

static int take_flag(program *p, const char *text)
{
    int change = text[0] == '+' ? IMAPCONNECT_ADD : text[0] == '-' ? IMAPCONNECT_REMOVE : IMAPCONNECT_LEAVE;
    for (int i = 0; i < FLAGS && change != IMAPCONNECT_LEAVE; i++)
        if (strcmp(text + 1, flag_names[i]) == 0) {
            if (p->flags[i] != IMAPCONNECT_LEAVE)
                return bad_words(p, "a flag is named twice", text);
            p->flags[i] = change;
            return 1;
        }
    return bad_words(p, "not + or - and then answered, deleted, draft, flagged or seen", text);
}

static int take_flags(program *p, char **words)
{
    if (!take_uid(p, words))
        return 0;
    while (*++words != 0)
        if (!take_flag(p, *words))
            return 0;
    return 1;
}

static int take_seconds(program *p, char **words)
{
    if (words[0] == 0)
        return 1;
    p->watch_seconds = parse_number(words[0], MAX_SECONDS);
    return p->watch_seconds != 0 || bad_words(p, "not a number of seconds", words[0]);
}

/* The next byte of the letter, LF without CR being turned into both; EOF at its end. */
static int next_of_letter(program *p)
{
    int byte = getc(p->letter);
    if (byte == '\n' && p->letter_before != '\r') {
        ungetc(byte, p->letter);
        byte = '\r';
    }
    p->letter_before = byte;
    return byte;
}

/* The size is sent first. So the letter is read twice, from where it is now. */
static int measure_letter(program *p, const char *shown)
{
    off_t start = ftello(p->letter);
    uint64_t size = 0;
    int byte;
    for (; (byte = next_of_letter(p)) != EOF && size <= UINT32_MAX; size++)
        if (byte == 0)
            return bad_words(p, "a message must not hold NUL, and this one does", shown);
    if (ferror(p->letter) || start < 0 || fseeko(p->letter, start, SEEK_SET) != 0)
        return bad_words(p, strerror(errno), shown);
    if (size == 0)
        return bad_words(p, "it is empty", shown);
    if (size > UINT32_MAX)
        return bad_words(p, "4 GB are the limit of IMAP, and this is larger", shown);
    p->letter_size = p->letter_left = (uint32_t)size;
    p->letter_before = 0;
    return 1;
}

static int take_letter(program *p, char **words)
{
    struct stat info;
    int is_input = strcmp(words[0], "-") == 0;
    const char *shown = is_input ? "standard input" : words[0];
    if ((is_input ? fstat(STDIN_FILENO, &info) : stat(words[0], &info)) != 0)
        return bad_words(p, strerror(errno), shown);
    if (!S_ISREG(info.st_mode)) /* opening might wait for ever */
        return bad_words(p, "the size must be known beforehand, so it takes a regular file, and this is none", shown);
    p->letter = is_input ? stdin : fopen(words[0], "rb");
    return p->letter != 0 ? measure_letter(p, shown) : bad_words(p, strerror(errno), shown);
}

/* Text for a search that is not yet in the form that IMAP wants. */
static int is_text(const char *word)
{
    if (word[0] == '"' || word[0] == '(')
        return 0;
    for (const char *c = word; *c != 0; c++)
        if (*c <= ' ' || *c >= 0x7f)
            return 1;
    return word[0] == 0;
}

static int is_ascii(const char *word)
{
    while (*word >= ' ' && *word < 0x7f)
        word++;
    return *word == 0;
}

/* One word stands as it is, several with blanks between them. The last one of several may be text of any kind. */
static int take_criteria(program *p, char **words)
{
    size_t used = 0;
    for (size_t i = 0; words[i] != 0; i++) {
        size_t length = strlen(words[i]);
        if (i > 0 && words[i + 1] == 0 && is_text(words[i])) {
            p->text = words[i];
            return is_line(p->text) || bad_words(p, not_a_line, p->text);
        }
        if (!is_ascii(words[i]))
            return bad_words(p, "text that is not ASCII must be a word by itself, and the last one", words[i]);
        if (length == 0 || length + used + 2 > sizeof p->criteria)
            return bad_words(p, length == 0 ? "a word is empty" : "more than servers take", "");
        if (i > 0)
            p->criteria[used++] = ' ';
        memcpy(p->criteria + used, words[i], length + 1);
        used += length;
    }
    return 1;
}

/* ---- the sub-commands ----

   Each function carries out one, in the mailbox that is open, and returns 0 or the error. */

static int run_ls(program *p)
{
    return imapconnect_list_mailboxes(p->imap, "", p->pattern, print_mailbox, p, 0);
}

static int run_select(program *p)
{
    const imapconnect_selection *s = &p->selection;
    printf("messages\t%" PRIu32 "\n", s->messages);
    printf("recent\t%" PRIu32 "\n", s->recent);
    printf("first-unseen\t%" PRIu32 "\n", s->unseen);
    printf("uidnext\t%" PRIu32 "\n", s->uidnext);
    printf("uidvalidity\t%" PRIu32 "\n", s->uidvalidity);
    printf("flags\t");
    print_flags(&s->flags);
    return 0;
}

static int run_list(program *p)
{
    return imapconnect_list_messages(p->imap, IMAPCONNECT_BY_SEQUENCE, 0, 0, print_message, p, 0);
}

static int run_headers(program *p)
{
    return imapconnect_recv_headers(p->imap, p->uid, take_bytes, p, 0);
}

/* Progress is for people who see nothing else just now. */
static int run_message(program *p)
{
    int code;
    p->shows_progress = isatty(STDERR_FILENO) && !isatty(STDOUT_FILENO) && !p->verbose;
    code = imapconnect_recv_message(p->imap, p->uid, take_bytes, p, 0);
    hide_progress(p);
    return code;
}

/* It shows what came of it: a server may keep only some flags, and says nothing where there is no such message. */
static int run_flags(program *p)
{
    const int *f = p->flags;
    int code = imapconnect_set_message_flags(p->imap, p->uid, f[0], f[1], f[2], f[3], f[4], 0);
    if (code == 0)
        code = imapconnect_list_messages(p->imap, IMAPCONNECT_BY_UID, p->uid, p->uid, print_message, p, 0);
    return code != 0 || p->rows > 0 ? code : IMAPCONNECT_E_NO_MESSAGE;
}

/* Ctrl-C and the like, once: SA_RESETHAND resets the handler. A signal that is ignored stays so. */
static void on_signals(void (*handler)(int))
{
    static const int numbers[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = handler;
    action.sa_flags = (int)SA_RESETHAND;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
        if (sigaction(numbers[i], 0, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(numbers[i], &action, 0);
}

static volatile sig_atomic_t stop_asked;

/* The second signal does what it does by default. */
static void ask_to_stop(int number)
{
    (void)number;
    stop_asked = 1;
}

static int keep_going(void *user)
{
    if (stop_asked)
        imapconnect_idle_stop(((program *)user)->imap);
    return 0;
}

static int run_watch(program *p)
{
    uint32_t milliseconds = p->watch_seconds > 0 ? p->watch_seconds * 1000 : UINT32_MAX;
    int code;
    on_signals(ask_to_stop);
    do
        code = imapconnect_idle(p->imap, milliseconds, print_news, p, 0);
    while (code >= 0 && p->watch_seconds == 0 && !stop_asked && p->write_errno == 0);
    on_signals(SIG_DFL);
    return code < 0 ? code : 0;
}

static int letter_changed(program *p)
{
    p->complaint = "the file has changed while it was sent, so that the message was given up";
    return -1;
}

/* Fails when the letter is not what it was when it was measured. */
static int give_bytes(void *user, void *bytes, size_t count)
{
    program *p = user;
    size_t given = 0;
    while (given < count && p->letter_left > 0) {
        int byte = next_of_letter(p);
        if (byte == EOF || byte == 0)
            return letter_changed(p);
        ((unsigned char *)bytes)[given++] = (unsigned char)byte;
        p->letter_left--;
    }
    return p->letter_left == 0 && next_of_letter(p) != EOF ? letter_changed(p) : (int)given;
}

/* Prints the UID, where the server says it. RFC 4315 section 3: APPENDUID, the mailbox's UIDVALIDITY, the UID. */
static int run_append(program *p)
{
    int code = imapconnect_append(p->imap, p->mailbox, 0, 0, p->letter_size, give_bytes, p, 0);
    const char *said = imapconnect_response_code(p->imap), *last = strrchr(said, ' ');
    uint32_t uid = last != 0 ? parse_number(last + 1, UINT32_MAX) : 0;
    if (code == 0 && strncasecmp(said, "APPENDUID ", 10) == 0 && uid != 0)
        print_uid(p, uid);
    return code;
}

static int run_search(program *p)
{
    const char *charset = 0;
    for (const char *c = p->text; c != 0 && *c != 0; c++)
        if ((unsigned char)*c >= 0x80)
            charset = "UTF-8";
    return imapconnect_search(p->imap, p->criteria, p->text, charset, print_uid, p, 0);
}

static const command commands[] = {
    {"ls", "[PATTERN]", 0, 1, 0, OPENS_NOTHING, take_pattern, run_ls,
     "lists mailboxes: name, separator, attributes; in PATTERN * is any text, % any of one level"},
    {"select", "", 0, 0, 1, OPENS_TO_READ, 0, run_select, "prints the numbers of the mailbox, and changes nothing"},
    {"list", "", 0, 0, 1, OPENS_TO_READ, 0, run_list,
     "lists its messages: UID, size, date, flags; line n is message n"},
    {"headers", "UID", 1, 1, 1, OPENS_TO_READ, take_uid, run_headers,
     "writes the headers of a message, as the server has them"},
    {"message", "UID", 1, 1, 1, OPENS_TO_READ, take_uid, run_message,
     "writes the whole message, as the server has it"},
    {"flags", "UID +FLAG -FLAG ...", 2, MANY, 1, OPENS_TO_WRITE, take_flags, run_flags,
     "adds, removes: answered, deleted, draft, flagged, seen; prints the message's line of list"},
    {"watch", "[SECONDS]", 0, 1, 1, OPENS_TO_READ, take_seconds, run_watch,
     "waits, and prints exists, expunge, recent, flags with a number; Ctrl-C ends it"},
    {"append", "FILE", 1, 1, 1, OPENS_NOTHING, take_letter, run_append,
     "stores a message, LF as CRLF, prints its UID; - is standard input, which must be a file"},
    {"search", "CRITERIA ...", 1, MANY, 1, OPENS_TO_READ, take_criteria, run_search,
     "prints UIDs; RFC 3501 section 6.4.4: search unseen subject 'two words'"},
};

static const command *find_command(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return 0;
}

/* ---- a limit for the look-up of the name ----

   The platform's look-up cannot be interrupted. With a dead name server it takes longer than the time limit,
   and the library learns of that only afterwards. The alarm does not wait. */

static const imapconnect_session *watched;
static char too_late[400];

static void on_alarm(int number)
{
    (void)number;
    if (strcmp(imapconnect_phase(watched), "connecting") == 0) {
        ssize_t ignored = write(STDERR_FILENO, too_late, strlen(too_late));
        (void)ignored;
        _exit(EXIT_FAILED);
    }
}

static void limit_look_up(const imapconnect_session *imap, unsigned seconds)
{
    struct sigaction action;
    watched = imap;
    last_line(too_late, sizeof too_late, IMAPCONNECT_E_CONNECT_TIMEOUT);
    memset(&action, 0, sizeof action);
    action.sa_handler = on_alarm;
    action.sa_flags = SA_RESTART;
    sigaction(SIGALRM, &action, 0);
    alarm(seconds);
}

/* ---- IMAP ---- */

static int configure(program *p, imapconnect_session *imap)
{
    imapconnect_config config;
    imapconnect_config_init(&config);
    config.user = p;
    config.on_response = on_response;
    config.keep_going = keep_going;
    config.ca_path = p->cacerts;
    config.timeout = p->seconds * 1000;
    config.auth = p->auth;
    config.refuse_cleartext = p->checks;
    config.tls = &p->tls;
    return imapconnect_init(imap, &config);
}

static int open_session(program *p, imapconnect_session *imap, const char *server)
{
    int result;
    p->quiet = p->secure == IMAPCONNECT_STARTTLS; /* until TLS is up nobody vouches for what comes */
    limit_look_up(imap, p->seconds);
    result = imapconnect(imap, server, p->user, p->password, p->verbose ? on_log : 0, 0, p->secure, p->verify);
    alarm(0);
    wipe(p->secret, sizeof p->secret);
    if (result < 0)
        p->advice = advise(result, is_refusal(imap) ? imapconnect_reason(imap) : IMAPCONNECT_REASON_NONE);
    return result < 0 ? result : 0;
}

/* What a step came to, once its output is written too. */
static int settle(program *p, const imapconnect_session *imap, int code)
{
    int flushed = flush_output(p);
    if (code == 0)
        code = flushed;
    if (code != 0)
        remember(p, imap, code);
    return code;
}

static int run_command(program *p, imapconnect_session *imap)
{
    int code = 0;
    p->imap = imap;
    if (p->command->opening == OPENS_TO_READ)
        code = imapconnect_examine_mailbox(imap, p->mailbox, &p->selection, 0);
    if (p->command->opening == OPENS_TO_WRITE)
        code = imapconnect_select_mailbox(imap, p->mailbox, &p->selection, 0);
    return code == 0 ? p->command->run(p) : code;
}

/* After NO or BAD there is a session to log out of. After any other error nothing more is sent. */
static int can_log_out(const program *p, const imapconnect_session *imap, int code)
{
    if (p->command != 0)
        return imapconnect_is_open(imap) && !imapconnect_code_is_fatal(code);
    return code == 0 || code == IMAPCONNECT_E_NO || code == IMAPCONNECT_E_BAD;
}

static void run(program *p, imapconnect_session *imap, const char *server, char **words)
{
    int code = settle(p, imap, open_session(p, imap, server));
    if (code == 0 && p->identifies)
        code = settle(p, imap, imapconnect_id(imap, "imapconnect", IMAPCONNECT_VERSION, 0));
    if (code == 0 && p->command != 0)
        code = settle(p, imap, run_command(p, imap));
    for (; code == 0 && p->command == 0 && *words != 0; words++)
        code = settle(p, imap, imapconnect_command(imap, *words, 0));
    if (can_log_out(p, imap, code)) {
        p->quiet = 1;
        settle(p, imap, imapconnect_disconnect(imap, 0));
    }
    imapconnect_close(imap);
}

/* ---- --check ----

   One connection to each port, without a login: user name and password are empty, and on_checked() ends it as soon as
   the server has told how it wants people to log in. */

/* By the name of the cipher suite, as wolfSSL or IANA has it. */
static int is_tls_1_3(const char *suite)
{
    return strncmp(suite, "TLS13-", 6) == 0 || strncmp(suite, "TLS_AES_", 8) == 0 ||
           strncmp(suite, "TLS_CHACHA20_", 13) == 0;
}

#ifdef HAVE_KEYING_MATERIAL
#define CAN_BIND 1 /* wolfSSL gives what SCRAM is bound to, RFC 9266 */
#else
#define CAN_BIND 0
#endif

/* Of these mechanisms, those that the library uses there. */
static int usable(int bits, int inside, const char *suite)
{
    if (!inside)
        bits &= ~SHOWN;
    if (!CAN_BIND || !is_tls_1_3(suite))
        bits &= ~IMAPCONNECT_AUTH_SCRAM_SHA_256_PLUS;
    return bits & IMAPCONNECT_AUTH_SCRAM_SHA_256_PLUS ? bits & ~IMAPCONNECT_AUTH_SCRAM_SHA_256 : bits;
}

static const char *first_mechanism(int bits)
{
    size_t i = 0;
    while (i < MECHANISMS && (mechanisms[i].bit & bits) == 0)
        i++;
    return i < MECHANISMS ? mechanisms[i].name : "-";
}

/* At most `most` of them: the library tries three. */
static void print_mechanisms(const char *title, int bits, unsigned most)
{
    keyword words[MECHANISMS + 2] = {{0, 0}};
    for (size_t i = 0; i < MECHANISMS; i++) {
        words[i].name = mechanisms[i].name;
        words[i].counts = (bits & mechanisms[i].bit) != 0 && most > 0;
        most -= words[i].counts ? 1 : 0;
    }
    words[MECHANISMS].name = "STARTTLS";
    words[MECHANISMS].counts = (bits & OFFERS_STARTTLS) != 0;
    words[MECHANISMS + 1].name = "LOGINDISABLED";
    words[MECHANISMS + 1].counts = (bits & OFFERS_LOGINDISABLED) != 0;
    printf("  %-9s  ", title);
    print_words(words, sizeof words / sizeof words[0]);
}

static void print_weak(const char *what)
{
    printf("  %-9s  %s\n", "weak", what);
}

/* What a list says against a server: one of `any` is offered (0: always true), and none of `none`. */
static void judge(const offer *o, int inside)
{
    static const struct weakness {
        int inside, any, none;
        const char *what;
    } table[] = {
        {0, OFFERS_PREAUTH, 0, "PREAUTH: whoever connects is logged in"},
        {1, OFFERS_PREAUTH, 0, "PREAUTH: whoever connects is logged in"},
        {0, 0, OFFERS_STARTTLS, "no STARTTLS: whatever is done on this port, everyone on the way can read it"},
        {0, PASSWORDS, 0, "PLAIN or LOGIN in clear: everyone on the way can read the password"},
        {0, TOKENS, 0, "tokens in clear: everyone on the way can read them"},
        {0, IMAPCONNECT_AUTH_CRAM_MD5, 0, "CRAM-MD5 in clear: who records it can guess the password"},
        {1, 0, SHOWN | SCRAM | IMAPCONNECT_AUTH_CRAM_MD5, "no way in that this library knows"},
        {1, PASSWORDS, TOKENS | SCRAM | IMAPCONNECT_AUTH_CRAM_MD5 | IMAPCONNECT_AUTH_EXTERNAL,
         "only passwords: PLAIN and LOGIN show the password to the server, and so to who is taken for it"},
        {1, IMAPCONNECT_AUTH_CRAM_MD5, SHOWN | SCRAM, "CRAM-MD5 only: the server must keep passwords readable"},
        {1, OFFERS_LOGINDISABLED, 0, "LOGINDISABLED inside TLS, too"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (table[i].inside == inside && (table[i].any == 0 || (o->bits & table[i].any) != 0) &&
            (o->bits & table[i].none) == 0)
            print_weak(table[i].what);
}

static void print_offer(const checked *c, int inside)
{
    const offer *o = &c->offers[inside];
    int documented = IMAPCONNECT_AUTH_CRAM_MD5 | IMAPCONNECT_AUTH_LOGIN;
    print_mechanisms("offers", o->bits, MECHANISMS);
    if (o->others[0] != 0) {
        printf("  %-9s  ", "others");
        print_text(o->others, 1);
        putchar('\n');
    }
    print_mechanisms("auto", o->bits & documented, 3);
    print_mechanisms("strongest", usable(o->bits & IMAPCONNECT_AUTH_STRONGEST, inside, c->tls), 3);
    if (!inside && (o->bits & SHOWN) == 0)
        printf("  %-9s  no password and no token in clear\n", "good");
    judge(o, inside);
}

static void print_tls(const program *p, const char *port, const char *how)
{
    const checked *c = &p->check;
    printf("port %s, %s: ", port, how);
    print_text(c->tls, 1);
    puts(c->certificate != 0     ? ""
         : p->verify             ? ", the certificate is good"
         : p->tls.pin_count != 0 ? ", the pin fits"
                                 : ", the certificate was not looked at");
    print_offer(c, 1);
    if (c->certificate != 0)
        printf("  %-9s  %s (%s)\n", "weak", imapconnect_strerror(c->certificate),
               imapconnect_code_name(c->certificate));
    if (!is_tls_1_3(c->tls))
        print_weak("TLS 1.2, not 1.3");
}

/* The way in that a person should take there, if it is safe; 0 when there is none. */
static int print_safe_way(const program *p)
{
    const checked *c = &p->check;
    const char *mode = c->secure == IMAPCONNECT_TLS ? "tls" : "starttls";
    int bits = c->offers[1].bits, best = usable(bits & IMAPCONNECT_AUTH_STRONGEST, 1, c->tls);
    if (!c->offers[1].listed || c->certificate != 0 || (!p->verify && p->tls.pin_count == 0))
        return 0;
    if (best != 0)
        printf("safe: -s %s --auth strongest (%s)\n", mode, first_mechanism(best));
    else if (bits & TOKENS)
        printf("safe: -s %s --auth oauthbearer,xoauth2 with a token\n", mode);
    else if (bits & IMAPCONNECT_AUTH_EXTERNAL)
        printf("safe: -s %s --auth external with --cert\n", mode);
    return (bits & (SHOWN | SCRAM | IMAPCONNECT_AUTH_CRAM_MD5)) != 0;
}

/* Is it the certificate, so that without verification one can see more? */
static int is_about_certificate(int code)
{
    static const int codes[] = {
        IMAPCONNECT_E_UNTRUSTED, IMAPCONNECT_E_NAME, IMAPCONNECT_E_EXPIRED, IMAPCONNECT_E_NOT_YET_VALID,
        IMAPCONNECT_E_NO_CA,     IMAPCONNECT_E_WEAK, IMAPCONNECT_E_PIN};
    size_t i = 0;
    while (i < sizeof codes / sizeof codes[0] && codes[i] != code)
        i++;
    return i < sizeof codes / sizeof codes[0];
}

/* Nothing that another port could do better. */
static int is_hopeless(int code)
{
    return code == IMAPCONNECT_E_VALUE || code == IMAPCONNECT_E_TOO_LONG || code == IMAPCONNECT_E_CA_FILE ||
           code == IMAPCONNECT_E_OWN_CERTIFICATE || code == IMAPCONNECT_E_MEMORY ||
           (code <= IMAPCONNECT_E_HOST_NOT_FOUND && code >= IMAPCONNECT_E_NO_ADDRESS);
}

/* Connects, and never logs in. Returns 0 when the server has told what it offers. */
static int look(program *p, imapconnect_session *imap, const char *server, int verify)
{
    checked *c = &p->check;
    int code = configure(p, imap);
    memset(c->offers, 0, sizeof c->offers);
    c->inside = c->secure == IMAPCONNECT_TLS;
    c->complete = c->preauth = 0;
    c->length = 0;
    c->tls[0] = 0;
    if (code == 0) {
        limit_look_up(imap, p->seconds + 2); /* the library's own limit first: there may be another port */
        code = imapconnect(imap, server, "", "", on_log, 0, c->secure, verify);
        alarm(0);
    }
    imapconnect_close(imap);
    return code >= 0 || c->complete ? 0 : code;
}

/* Once more without verification, where the certificate is in the way. */
static int look_again(program *p, imapconnect_session *imap, const char *server)
{
    int code = look(p, imap, server, p->verify);
    size_t pins = p->tls.pin_count;
    p->check.certificate = is_about_certificate(code) ? code : 0;
    if (p->check.certificate == 0)
        return code;
    p->tls.pin_count = 0;
    p->tls.pins = 0;
    code = look(p, imap, server, IMAPCONNECT_NO_VERIFY);
    p->tls.pin_count = pins;
    p->tls.pins = pins != 0 ? p->pins : 0;
    return code;
}

static const char *const mode_names[] = {"in clear", "TLS", "STARTTLS"};

static void print_port(const program *p, const char *port)
{
    const checked *c = &p->check;
    if (c->offers[0].listed) {
        printf("port %s, in clear:\n", port);
        print_offer(c, 0);
    }
    if (c->offers[1].listed)
        print_tls(p, port, mode_names[c->secure]);
}

static void print_failure(const char *port, int secure, int code)
{
    printf("port %s, %s: %s (%s)\n", port, mode_names[secure], imapconnect_strerror(code),
           imapconnect_code_name(code));
}

/* Says what one port offers. `guesses`: why it does not is not said yet. Returns the error. */
static int check_port(program *p, imapconnect_session *imap, const char *server, const char *port, int guesses)
{
    int code = look_again(p, imap, server);
    if (is_hopeless(code)) {
        p->failure = code;
        return code;
    }
    print_port(p, port);
    if (code != 0 && !guesses)
        print_failure(port, p->check.secure, code);
    p->safe |= print_safe_way(p);
    return code;
}

/* The port in the server's text, 0 when none is named: "host:port", "[::1]:port"; "::1" has none. */
static const char *port_in(const char *server)
{
    const char *last = strrchr(server, ':');
    if (last == 0 || (server[0] == '[' ? last[-1] != ']' : strchr(server, ':') != last))
        return 0;
    return last + 1;
}

/* May it be a port without TLS? Then the handshake failed; but not over the certificate, and not for want of a server. */
static int may_be_clear(int code)
{
    return code != 0 && !is_about_certificate(code) && !is_hopeless(code) && code != IMAPCONNECT_E_REFUSED &&
           code != IMAPCONNECT_E_CONNECT_TIMEOUT && code != IMAPCONNECT_E_TIMED_OUT && code != IMAPCONNECT_E_NO_ROUTE;
}

/* A port that is named: TLS, and where that is none, the other; the two of RFC 3501 and RFC 8314 are known. */
static void check_named_port(program *p, imapconnect_session *imap, const char *server, const char *port)
{
    uint32_t number = parse_number(port, UINT16_MAX);
    int code = 0;
    p->check.secure = IMAPCONNECT_TLS;
    if (number != 143)
        code = check_port(p, imap, server, port, number != 993);
    if (number == 143 || (number != 993 && may_be_clear(code))) {
        p->check.secure = IMAPCONNECT_STARTTLS;
        check_port(p, imap, server, port, 0);
    }
    if (code != 0 && p->failure == 0 && !p->check.offers[0].listed && number != 993)
        print_failure(port, IMAPCONNECT_TLS, code);
}

static void check(program *p, imapconnect_session *imap, const char *server)
{
    const char *port = port_in(server);
    p->auth = IMAPCONNECT_AUTH_SCRAM_SHA_256_PLUS; /* one that shows nothing, should it ever come so far */
    p->check.secure = p->secure >= 0 ? p->secure : IMAPCONNECT_TLS;
    if (port != 0 && p->secure < 0) {
        check_named_port(p, imap, server, port);
    } else {
        check_port(p, imap, server, port != 0 ? port : p->check.secure == IMAPCONNECT_TLS ? "993" : "143", 0);
        p->check.secure = IMAPCONNECT_STARTTLS;
        if (p->secure < 0 && p->failure == 0)
            check_port(p, imap, server, "143", 0);
    }
    if (p->failure == 0 && !p->safe)
        puts("no safe way in was found");
    settle(p, imap, 0);
}

/* ---- the command line ---- */

typedef struct option {
    int letter;
    int has_value;
    const char *name;
} option;

enum without_letter { VERSION = 256, CHECK, PASSWORD_COMMAND, TOKEN, CERT, KEY, PIN, ID };

static const option options[] = {
    {'u', 1, "user"},    {'p', 1, "password"}, {PASSWORD_COMMAND, 1, "password-command"},
    {'a', 1, "auth"},    {TOKEN, 1, "token"},  {CERT, 1, "cert"},
    {KEY, 1, "key"},     {PIN, 1, "pin"},      {ID, 0, "id"},
    {CHECK, 0, "check"}, {'s', 1, "secure"},   {'k', 0, "no-verify"},
    {'C', 1, "cacerts"}, {'m', 1, "mailbox"},  {'t', 1, "timeout"},
    {'v', 0, "verbose"}, {'h', 0, "help"},     {VERSION, 0, "version"},
};

/* The option with this letter, or with this name of `length` bytes; 0 when there is none. */
static const option *find_option(int letter, const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (options[i].letter == letter ||
            (strlen(options[i].name) == length && strncmp(options[i].name, name, length) == 0))
            return &options[i];
    return 0;
}

static int parse_mode(const char *text)
{
    static const char *const modes[] = {"0", "1", "2", "none", "tls", "starttls"};
    for (int i = 0; i < 6; i++)
        if (strcmp(text, modes[i]) == 0)
            return i % 3;
    return -1;
}

/* Names that stand for several mechanisms, or for none. */
static const mechanism auth_words[] = {{"auto", IMAPCONNECT_AUTH_AUTO},
                                       {"strongest", IMAPCONNECT_AUTH_STRONGEST},
                                       {"in-clear", IMAPCONNECT_AUTH_IN_CLEAR}};
#define AUTH_WORDS (sizeof auth_words / sizeof auth_words[0])

static int unknown_mechanism(program *p, const char *name, size_t length)
{
    char shown[80];
    size_t used;
    snprintf(p->why, sizeof p->why, "%.*s", (int)(length < 40 ? length : 40), name);
    escape(shown, sizeof shown, p->why);
    used = (size_t)snprintf(p->why, sizeof p->why, "\"%s\" is none of", shown);
    for (size_t i = 0; i < AUTH_WORDS; i++)
        used += (size_t)snprintf(p->why + used, sizeof p->why - used, " %s", auth_words[i].name);
    for (size_t i = 0; i < MECHANISMS; i++)
        used += (size_t)snprintf(p->why + used, sizeof p->why - used, " %s", mechanisms[i].name);
    return 0;
}

/* Names with commas between them. Returns 0 with a reason in `why`. */
static int take_auth(program *p, const char *text)
{
    int sum = 0, names = 0, is_auto = 0;
    for (size_t length; text != 0; text = text[length] != 0 ? text + length + 1 : 0) {
        size_t i = 0;
        int bit;
        length = strcspn(text, ",");
        bit = find_mechanism(text, length);
        while (i < AUTH_WORDS &&
               (strlen(auth_words[i].name) != length || strncasecmp(auth_words[i].name, text, length) != 0))
            i++;
        if (bit == 0 && i == AUTH_WORDS)
            return unknown_mechanism(p, text, length);
        sum |= i < AUTH_WORDS ? auth_words[i].bit : bit;
        is_auto |= i == 0;
        names++;
    }
    if (is_auto && names > 1)
        snprintf(p->why, sizeof p->why, "auto stands alone");
    if (sum == IMAPCONNECT_AUTH_IN_CLEAR)
        snprintf(p->why, sizeof p->why, "in-clear alone is no way to log in");
    p->auth = sum;
    return p->why[0] == 0;
}

static int hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef0123456789ABCDEF";
    const char *at = c != 0 ? strchr(digits, c) : 0;
    return at != 0 ? (int)((at - digits) % 16) : -1;
}

/* Returns 0 when a character is none of hex. */
static int read_hex(uint8_t *bytes, const char *text)
{
    for (size_t i = 0; i < IMAPCONNECT_PIN_SIZE; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return 0;
        bytes[i] = (uint8_t)(high * 16 + low);
    }
    return 1;
}

/* The same of base64, RFC 4648 section 4: 43 characters of six bits, of which the last two are zero. */
static int read_base64(uint8_t *bytes, const char *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    int count = 0;
    for (; *text != '=' && *text != 0; text++) {
        const char *at = strchr(digits, *text);
        if (at == 0)
            return 0;
        bits = bits << 6 | (uint32_t)(at - digits);
        count += 6;
        if (count >= 8) {
            count -= 8;
            *bytes++ = (uint8_t)(bits >> count & 0xff);
        }
    }
    return text[0] == '=' && text[1] == 0 && (bits & 3) == 0;
}

/* Returns 0 with a reason in `why`. */
static int take_pin(program *p, const char *text)
{
    size_t length = strlen(text);
    uint8_t *pin = p->pins + p->tls.pin_count * IMAPCONNECT_PIN_SIZE;
    if (p->tls.pin_count == MAX_PINS)
        snprintf(p->why, sizeof p->why, "more than %d pins", MAX_PINS);
    else if (length != 2 * IMAPCONNECT_PIN_SIZE && length != 44)
        snprintf(p->why, sizeof p->why,
                 "%u characters, where SHA-256 has 64 in hexadecimal and, with the = at the end, 44 in base64",
                 (unsigned)length);
    else if (length == 44 ? !read_base64(pin, text) : !read_hex(pin, text))
        snprintf(p->why, sizeof p->why, "by its length it is %s, but that it is not",
                 length == 44 ? "base64" : "hexadecimal");
    p->tls.pins = p->pins;
    p->tls.pin_count++;
    return p->why[0] == 0;
}

/* Moves it out of argv, so that ps shows it for a short time only. One that is cut here is still too long for
   the library, which says so. */
static const char *take_password(program *p, char *text)
{
    size_t length = strlen(text), kept = length < sizeof p->secret ? length : sizeof p->secret - 1;
    memcpy(p->secret, text, kept);
    p->secret[kept] = 0;
    wipe(text, length);
    return p->secret;
}

static void print_help(void)
{
    printf("%s%s\nA SUB-COMMAND is one of these; anything else is a COMMAND, sent as it stands.\n", usage_line,
           usage_options);
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const command *c = &commands[i];
        printf("  %s %-*s %s\n", c->name, (int)(HELP_COLUMN - strlen(c->name)), c->usage, c->help);
    }
}

/* Where the text of an option is kept that is taken as it stands; 0 for the others. */
static const char **text_of(program *p, int letter)
{
    switch (letter) {
    case 'u':
        return &p->user;
    case 'C':
        return &p->cacerts;
    case 'm':
        return &p->mailbox;
    case PASSWORD_COMMAND:
        return &p->password_command;
    case TOKEN:
        return &p->token_file;
    case CERT:
        return &p->tls.cert_path;
    case KEY:
        return &p->tls.key_path;
    default:
        return 0;
    }
}

/* The same of an option that is on or off, and what it is then. */
static int *switch_of(program *p, int letter)
{
    switch (letter) {
    case 'k':
        return &p->no_verify;
    case 'v':
        return &p->verbose;
    case CHECK:
        return &p->checks;
    case ID:
        return &p->identifies;
    default:
        return 0;
    }
}

/* Returns 0 when the value is none of its kind. */
static int set_option(program *p, int letter, char *value)
{
    const char **text = text_of(p, letter);
    int *on = switch_of(p, letter);
    if (text != 0)
        *text = value;
    if (on != 0)
        *on = 1;
    if (text != 0 || on != 0)
        return 1;
    switch (letter) {
    case 'p':
        p->password = take_password(p, value);
        return 1;
    case 'a':
        return take_auth(p, value);
    case PIN:
        return take_pin(p, value);
    case 's':
        return (p->secure = parse_mode(value)) >= 0;
    case 't':
        return (p->seconds = parse_number(value, MAX_SECONDS)) > 0;
    case 'h':
        print_help();
        break;
    default:
        puts("imapconnect " IMAPCONNECT_VERSION);
    }
    exit(flush_output(p) == 0 ? EXIT_SUCCESS : EXIT_FAILED);
}

static int bad_usage(const char *what, const char *option_text, size_t length)
{
    fprintf(stderr, "imapconnect: %s%.*s\n%s", what, (int)length, option_text, usage_line);
    return 0;
}

static int bad_value(const program *p, const char *shown, size_t length)
{
    fprintf(stderr, "imapconnect: bad value behind %.*s%s%s\n%s", (int)length, shown, p->why[0] != 0 ? ": " : "",
            p->why, usage_line);
    return 0;
}

/* `shown` is the option as it was written, without its value, which may be a secret. `**next` is the argument
   behind it, which is used up when it is the value. Returns 0 after a complaint. */
static int take_option(program *p, const option *o, const char *shown, size_t length, char *value, char ***next)
{
    if (o == 0)
        return bad_usage("unknown option ", shown, length);
    if (!o->has_value && value != 0)
        return bad_usage("no value may follow ", shown, length);
    if (o->has_value && value == 0) {
        if (**next == 0)
            return bad_usage("no value behind ", shown, length);
        value = *(*next)++;
    }
    return set_option(p, o->letter, value) || bad_value(p, shown, length);
}

/* --name, --name VALUE, --name=VALUE */
static int take_long_option(program *p, char *argument, char ***next)
{
    size_t length = strcspn(argument, "=");
    char *value = argument[length] == '=' ? argument + length + 1 : 0;
    return take_option(p, find_option(-1, argument + 2, length - 2), argument, length, value, next);
}

/* -k, -kv, -u VALUE, -uVALUE */
static int take_short_options(program *p, char *argument, char ***next)
{
    const option *o = 0;
    for (char *letter = argument + 1; *letter != 0 && (o == 0 || !o->has_value); letter++) {
        char shown[2] = {'-', *letter};
        o = find_option((unsigned char)*letter, "", 0);
        if (!take_option(p, o, shown, 2, o != 0 && o->has_value && letter[1] != 0 ? letter + 1 : 0, next))
            return 0;
    }
    return 1;
}

/* Returns where SERVER stands, or 0 after a complaint. */
static char **parse_command_line(program *p, char **next)
{
    while (*next != 0 && (*next)[0] == '-' && (*next)[1] != 0) {
        char *argument = *next++;
        if (strcmp(argument, "--") == 0)
            break;
        if (!(argument[1] == '-' ? take_long_option(p, argument, &next) : take_short_options(p, argument, &next)))
            return 0;
    }
    if (*next == 0)
        bad_usage("SERVER is missing", "", 0);
    return *next != 0 ? next : 0;
}

static int takes_token(const program *p)
{
    return (p->auth & TOKENS) != 0 && (p->auth & IMAPCONNECT_AUTH_STRONGEST) == 0;
}

/* What was not named. */
static void fill_gaps(program *p)
{
    p->verify = p->no_verify ? IMAPCONNECT_NO_VERIFY : IMAPCONNECT_VERIFY;
    if (p->auth < 0)
        p->auth = p->token_file != 0 ? TOKENS : IMAPCONNECT_AUTH_AUTO;
    if (p->seconds == 0)
        p->seconds = p->checks ? CHECK_TIME : 60;
    if (p->secure < 0 && !p->checks)
        p->secure = IMAPCONNECT_TLS;
    if (p->tls.key_path == 0)
        p->tls.key_path = p->tls.cert_path;
}

/* Options that do not go together. */
static int fits_together(const program *p)
{
    int places = (p->password != 0) + (p->token_file != 0) + (p->password_command != 0);
    const struct rule {
        int broken;
        const char *what;
    } rules[] = {
        {places > 1, "the secret is in one place: --password, --password-command or --token"},
        {p->token_file != 0 && !takes_token(p), "--token is for --auth oauthbearer and xoauth2 alone"},
        {p->password != 0 && takes_token(p), "a token is not for everyone to see: --token or --password-command"},
        {p->tls.key_path != 0 && p->tls.cert_path == 0, "--key without --cert"},
        {p->secure == IMAPCONNECT_INSECURE && (p->tls.cert_path != 0 || p->tls.pin_count > 0),
         "--cert and --pin are for TLS, and there is none"},
    };
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (rules[i].broken)
            return bad_usage(rules[i].what, "", 0);
    return 1;
}

/* The first word behind SERVER, when it is one of ours, and those behind it. */
static int choose_command(program *p, char **words)
{
    unsigned count = 0;
    if (p->checks && words[0] != 0)
        return bad_usage("--check takes nothing behind SERVER", "", 0);
    p->command = words[0] != 0 ? find_command(words[0]) : 0;
    if (p->mailbox != 0 && (p->command == 0 || !p->command->mailbox))
        return bad_usage("nothing behind SERVER takes a mailbox", "", 0);
    if (p->mailbox == 0)
        p->mailbox = "INBOX";
    if (!is_name(p->mailbox))
        return bad_usage("the mailbox is ", not_a_line, strlen(not_a_line));
    if (p->command == 0)
        return 1;
    while (words[1 + count] != 0)
        count++;
    if (count < p->command->least)
        return bad_words(p, "something is missing behind it", "");
    if (count > p->command->most)
        return bad_words(p, "too many words", words[1 + p->command->most]);
    return p->command->take == 0 || p->command->take(p, words + 1);
}

/* ---- the password ---- */

static int terminal = -1;
static struct termios terminal_before;

/* On Ctrl-C and the like: the terminal as it was, then what the signal does by default. The signal raised here arrives
   when this function returns. */
static void restore_terminal(int number)
{
    tcsetattr(terminal, TCSANOW, &terminal_before);
    raise(number);
}

/* Reads a line with echo off, and with Ctrl-Z off too: it would leave a silent terminal to the shell. */
static ssize_t read_hidden(char *line, size_t size)
{
    struct termios hidden;
    ssize_t count = -1;
    if (tcgetattr(terminal, &terminal_before) != 0)
        return -1;
    hidden = terminal_before;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    hidden.c_lflag |= ICANON | ECHONL;
    hidden.c_cc[VSUSP] = _POSIX_VDISABLE;
    on_signals(restore_terminal);
    if (tcsetattr(terminal, TCSAFLUSH, &hidden) == 0)
        count = read(terminal, line, size);
    tcsetattr(terminal, TCSAFLUSH, &terminal_before); /* the rest of an endless line is not for the shell */
    on_signals(SIG_DFL);
    return count;
}

/* Returns 0, with password still 0, where there is no terminal or not even a line end was typed. */
static const char *ask_password(program *p)
{
    static const char prompt[] = "Password: ";
    ssize_t count = -1;
    terminal = open("/dev/tty", O_RDWR | O_NOCTTY);
    if (terminal < 0)
        return 0;
    if (write(terminal, prompt, sizeof prompt - 1) > 0)
        count = read_hidden(p->secret, sizeof p->secret - 1);
    close(terminal);
    if (count <= 0)
        return 0;
    p->secret[count] = 0;
    p->secret[strcspn(p->secret, "\n")] = 0;
    return p->secret;
}

static const char too_long[] = "its first line is too long";

/* The first line of what `file` gives, into the place that is wiped. Returns what is wrong, or 0. */
static const char *read_secret(program *p, int file)
{
    char *end;
    size_t used = 0;
    ssize_t count;
    do {
        count = read(file, p->secret + used, sizeof p->secret - used);
        used += count > 0 ? (size_t)count : 0;
    } while (count > 0 ? used < sizeof p->secret : count < 0 && errno == EINTR);
    if (count < 0)
        return strerror(errno);
    end = memchr(p->secret, '\n', used);
    if (end == 0 && used == sizeof p->secret)
        return too_long;
    if (end == 0)
        end = p->secret + used;
    if (end > p->secret && end[-1] == '\r')
        end--;
    wipe(end, sizeof p->secret - (size_t)(end - p->secret));
    p->password = p->secret;
    if (end == p->secret)
        return used == 0 ? "it gives nothing" : "its first line is empty";
    return memchr(p->secret, 0, (size_t)(end - p->secret)) != 0 ? "its first line holds a NUL" : 0;
}

static const char *read_token(program *p)
{
    const char *wrong;
    int file = open(p->token_file, O_RDONLY | O_NOCTTY);
    if (file < 0)
        return strerror(errno);
    wrong = read_secret(p, file);
    close(file);
    return wrong;
}

/* The child: a shell that writes to the pipe. Signals that are ignored here are not ignored there. */
static void become_shell(const program *p, const int *ends)
{
    signal(SIGPIPE, SIG_DFL);
    dup2(ends[1], STDOUT_FILENO);
    close(ends[0]);
    close(ends[1]);
    execl("/bin/sh", "sh", "-c", p->password_command, (char *)0);
    _exit(127);
}

/* Without stdio, whose buffers nobody wipes. The command may ask the person something, so there is no time limit. */
static const char *run_password_command(program *p)
{
    const char *wrong;
    int ends[2], status = 0;
    pid_t child;
    if (pipe(ends) != 0)
        return strerror(errno);
    child = fork();
    if (child == 0)
        become_shell(p, ends);
    close(ends[1]);
    wrong = child < 0 ? strerror(errno) : read_secret(p, ends[0]);
    close(ends[0]);
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    if (status != 0 && wrong != too_long) { /* which may be why it failed */
        snprintf(p->why, sizeof p->why, "it failed, with %s %d", WIFSIGNALED(status) ? "signal" : "status",
                 WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
        wrong = p->why;
    }
    return wrong;
}

static int bad_secret(const char *from, const char *wrong)
{
    if (wrong != 0)
        fprintf(stderr, "imapconnect: %s: %s\n", from, wrong);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILED;
}

/* The password, or the token. An environment variable that is set counts, also when it is empty. */
static int find_secret(program *p)
{
    int token = takes_token(p);
    if (p->token_file != 0)
        return bad_secret("--token", read_token(p));
    if (p->password_command != 0)
        return bad_secret("--password-command", run_password_command(p));
    if (p->password == 0)
        p->password = getenv(token ? "IMAPCONNECT_TOKEN" : "IMAPCONNECT_PASSWORD");
    if (p->password == 0 && (p->auth & ~IMAPCONNECT_AUTH_IN_CLEAR) == IMAPCONNECT_AUTH_EXTERNAL)
        p->password = ""; /* the certificate says it all */
    if (p->password == 0 && !token)
        p->password = ask_password(p);
    if (p->password != 0)
        return EXIT_SUCCESS;
    bad_usage(token ? "no token: give it with --token FILE or in $IMAPCONNECT_TOKEN"
                    : "no password, and no terminal to ask for it",
              "", 0);
    return EXIT_USAGE;
}

/* What no option gave. Returns the exit status. */
static int find_credentials(program *p)
{
    if (p->user == 0)
        p->user = getenv("IMAPCONNECT_USER");
    if (p->user == 0 && (p->auth & ~IMAPCONNECT_AUTH_IN_CLEAR) == IMAPCONNECT_AUTH_EXTERNAL)
        p->user = ""; /* whom the certificate names */
    if (p->user != 0)
        return find_secret(p);
    bad_usage("no user name: give it with -u or in $IMAPCONNECT_USER", "", 0);
    return EXIT_USAGE;
}

/* With --check, 1 also where everything went well and no safe way in was found. */
static int work(program *p, char **operands)
{
    static imapconnect_session imap;
    int status = p->checks ? EXIT_SUCCESS : find_credentials(p);
    if (status == EXIT_SUCCESS && !p->checks) {
        p->failure = configure(p, &imap);
        if (p->failure == 0)
            run(p, &imap, operands[0], operands + 1);
    } else if (status == EXIT_SUCCESS) {
        check(p, &imap, operands[0]);
    }
    wipe(p->secret, sizeof p->secret);
    if (status == EXIT_SUCCESS)
        status = report(p);
    return status == EXIT_SUCCESS && p->checks && !p->safe ? EXIT_FAILED : status;
}

int main(int argc, char **argv)
{
    static program p = {.secure = -1, .auth = -1, .percent = -1};
    char **operands;

    occupy_standard_files();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is reported like any other error of writing */
    operands = parse_command_line(&p, argc > 0 ? argv + 1 : argv);
    if (operands == 0)
        return EXIT_USAGE;
    fill_gaps(&p);
    if (!fits_together(&p) || !choose_command(&p, operands + 1))
        return EXIT_USAGE;
    return work(&p, operands);
}
