/* fuzz_connect.c: the whole connect, in clear text and with STARTTLS as far as the ClientHello, and a few calls behind
   it. What a server can do to that before it knows a secret, and before we know who it is.

   An input: four options (fuzz_script_begin), then

       mode       even: in clear text, odd: STARTTLS; every other pair refuses clear-text passwords
       user       which kind of user name and password
       limit      of a reply after the login
       calls      letters, up to the end of the line

   and then the script. */

#include "fuzz.h"

#include <wolfssl/ssl.h>

typedef struct connect_input {
    fuzz_script script;
    char *user, *password, *calls;
    int secure, refuse_cleartext;
    uint32_t max_reply;
} connect_input;

static connect_input input;

/* One for all runs: making one takes far longer than a run. */
static WOLFSSL_CTX *context(void)
{
    static WOLFSSL_CTX *made;
    if (made == 0) {
        (void)wolfSSL_Init();
        made = wolfSSL_CTX_new(wolfTLS_client_method());
    }
    return made;
}

/* Texts of every kind that an argument can be, around one that is easily found again. */
static char *argument(const char *core, unsigned kind)
{
    static const char *const kinds[][2] = {{"", ""},     {"", "\"\\x"}, {"\"", ""}, {"", "\xfc"},
                                           {"", "\r\n"}, {" ", "%{3}"}, {"", ""},   {"", ""}};
    size_t size = strlen(core), fill = kind % 8 == 6 ? 255 - size : kind % 8 == 7 ? 256 - size : 0;
    char *text = (char *)malloc(size + fill + 16), *tight;
    if (text == 0)
        abort();
    (void)snprintf(text, size + 16, "%s%s%s", kinds[kind % 8][0], core, kinds[kind % 8][1]);
    size = strlen(text);
    memset(text + size, 'x', fill);
    text[size + fill] = '\0';
    tight = (char *)realloc(text, size + fill + 1); /* nobody may read behind it */
    return tight == 0 ? text : tight;
}

static void read_input(const uint8_t *data, size_t size)
{
    fuzz_input rest;
    unsigned kind;
    rest.bytes = (const char *)data;
    rest.count = size;
    fuzz_script_begin(&input.script, &rest);
    kind = fuzz_option(&rest);
    input.secure = kind % 2 != 0 ? IMAPCONNECT_STARTTLS : IMAPCONNECT_INSECURE;
    input.refuse_cleartext = kind / 2 % 2 != 0;
    kind = fuzz_option(&rest);
    input.user = argument(input.script.user, kind);
    input.password = argument(input.script.secret, kind / 8);
    input.max_reply = fuzz_option(&rest) * 20;
    input.calls = fuzz_line(&rest, 6);
    fuzz_script_end(&input.script, &rest);
}

/* ---- what must hold once the connect is done ---- */

/* How often a command was sent. */
static unsigned count_commands(const fuzz_run *run, const char *verb)
{
    unsigned found = 0;
    size_t at;
    for (at = 0; at < run->parser.plain; at++) {
        size_t next = at;
        if ((at != 0 && run->wire.bytes[at - 1] != '\n') || run->wire.bytes[at] != 'a')
            continue;
        while (next < run->parser.plain && run->wire.bytes[next] != ' ' && run->wire.bytes[next] != '\n')
            next++;
        found += (unsigned)fuzz_begins(run->wire.bytes + next + 1, run->parser.plain - next, verb);
    }
    return found;
}

/* The way in is one of four commands, each of the logins at most once. */
static void check_commands(fuzz_run *run, int result)
{
    unsigned logins = count_commands(run, "LOGIN \""), literals = count_commands(run, "LOGIN {"),
             others = count_commands(run, "AUTHENTICATE CRAM-MD5\r\n");
    unsigned known =
        logins + literals + others + count_commands(run, "CAPABILITY\r\n") + count_commands(run, "STARTTLS\r\n");
    fuzz_require(run, logins + literals <= 1 && others <= 1, "SECURITY 3, 18: a login is tried twice");
    fuzz_require(run, run->parser.tls || run->parser.waits || known == run->parser.tag || run->broken,
                 "the connect sends another command");
    fuzz_require(run, !input.refuse_cleartext || logins + literals == 0, "LOGIN, though that is refused");
    if (logins + literals + others == 0 && result >= 0)
        fuzz_require(run, strcmp(imapconnect_mechanism(run->session), "PREAUTH") == 0, "logged in without a login");
}

/* LOGIN behind AUTHENTICATE: only after NO or BAD to it. */
static void check_order(fuzz_run *run)
{
    char wanted[2][16];
    unsigned tag =
        run->parser.tag - (run->parser.line == run->wire.count); /* a line that is cut does not count yet */
    if (count_commands(run, "LOGIN") == 0 || count_commands(run, "AUTHENTICATE") == 0 || run->parser.goes_on)
        return;
    (void)snprintf(wanted[0], 16, "\na%u NO", tag);
    (void)snprintf(wanted[1], 16, "\na%u BAD", tag);
    fuzz_require(run,
                 fuzz_mentions(run->stream.bytes, run->read, wanted[0]) ||
                     fuzz_mentions(run->stream.bytes, run->read, wanted[1]),
                 "SECURITY 3, 18: LOGIN, and CRAM-MD5 was not refused");
}

static void check_starttls(fuzz_run *run, int result)
{
    fuzz_require(run, result < 0, "connected without TLS, though it was asked for");
    fuzz_require(run, run->list.used == 0, "what came before TLS is in the list");
    if (fuzz_begins(run->stream.bytes, run->stream.count, "* PREAUTH"))
        fuzz_require(run, run->wire.count == 0, "SECURITY 3, 4: something is sent after PREAUTH");
}

/* ---- a run ---- */

static int call(fuzz_run *run, char letter)
{
    imapconnect_session *session = run->session;
    switch (letter) {
    case 'c':
        return fuzz_result(run, "command", imapconnect_command(session, "SEARCH UNSEEN", &run->list));
    case 'r': /* refused, and nothing is sent */
        return fuzz_result(run, "refused", imapconnect_command(session, "LOGIN x y", &run->list));
    case 'o':
        return fuzz_result(run, "open", imapconnect(session, "h", "u", "p", 0, &run->list, 0, 0));
    case 'd':
        return fuzz_result(run, "disconnect", imapconnect_disconnect(session, &run->list));
    default:
        return fuzz_result(run, "noop", imapconnect_noop(session, &run->list));
    }
}

static void replay(fuzz_run *run, const fuzz_way *way)
{
    imapconnect_config config;
    const char *next;
    int result;
    fuzz_begin(run, &input.script, way);
    fuzz_config(run, &config);
    config.refuse_cleartext = input.refuse_cleartext;
    config.max_reply = input.max_reply;
    config.wolfssl_ctx = context();
    (void)imapconnect_init(run->session, &config);
    result = fuzz_connect(run, input.user, input.password, input.secure);
    fuzz_require(run, result == FUZZ_SOCKET || result < 0, "another socket");
    fuzz_require(run, (result >= 0) == imapconnect_is_open(run->session), "open, or not open");
    check_commands(run, result);
    check_order(run);
    if (input.secure == IMAPCONNECT_STARTTLS)
        check_starttls(run, result);
    for (next = input.calls; *next != '\0' && !run->over; next++)
        if (call(run, *next) < 0 && *next == 'd')
            break;
    fuzz_finish(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t i;
    read_input(data, size);
    for (i = 0; i < FUZZ_WAYS; i++)
        replay(&fuzz_runs[i], &fuzz_ways[i]);
    fuzz_compare();
    free(input.user);
    free(input.password);
    free(input.calls);
    return 0;
}
