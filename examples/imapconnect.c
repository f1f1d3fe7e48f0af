/* imapconnect: look at an IMAP server from the command line.

       imapconnect -u joe imap.example.org "SELECT INBOX" "FETCH 1 BODY[]"

   It connects, sends each COMMAND as it stands, and logs out; what the server answers goes to standard
   output. All that is IMAP stands at the end, from configure() on. The rest reads the command line, asks for
   the password, and writes things out.

   cc -std=c99 -D_POSIX_C_SOURCE=200809L -O2 imapconnect.c -o imapconnect -lwolfssl */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#define IMAPCONNECT_READ_SIZE 16384 /* one TLS record: long messages come in fewer pieces */
#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#define EXIT_FAILED 1       /* something was not answered OK */
#define EXIT_USAGE  2       /* the command line itself is wrong */
#define MAX_SECONDS 2147483 /* as milliseconds it fits in 31 bits */

static const char usage_line[] = "usage: imapconnect [options] SERVER[:PORT] [COMMAND ...]\n";

static const char usage_options[] =
    "  -u, --user NAME        user name; else $IMAPCONNECT_USER\n"
    "  -p, --password TEXT    password (seen by ps); else $IMAPCONNECT_PASSWORD, else you are asked\n"
    "  -s, --secure MODE      0|none, 1|tls (the default), 2|starttls\n"
    "  -k, --no-verify        do not verify the server's certificate\n"
    "  -C, --cacerts PATH     folder or file of trusted CA certificates (PEM)\n"
    "  -t, --timeout SECONDS  limit for each step; the default is 60\n"
    "  -v, --verbose          protocol log on standard error (C: and S: lines), secrets masked\n"
    "  -h, --help             this text\n"
    "      --version          the version\n"
    "Options stand before SERVER, and -- ends them. Exit status: 0 all was answered OK, 1 not so, 2 bad "
    "usage.\n";

typedef struct program {
    const char *user;
    const char *password;
    const char *cacerts;
    int secure;
    int verify;
    int verbose;
    unsigned seconds;
    char secret[1024]; /* a password from argv or the terminal; more than the library takes */
    int quiet;         /* 1: responses are not for standard output now */
    int line_open;     /* 1: the last line on standard output has not ended */
    int log_open;      /* 1: the last line of the log has not ended */
    int write_errno;   /* why standard output failed */
    int failure;       /* the first error, or 0 */
    char said[800];    /* what there is to say about it, before the last line */
} program;

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

/* ---- the command line ---- */

typedef struct option {
    int letter;
    int has_value;
    const char *name;
} option;

static const option options[] = {
    {'u', 1, "user"},    {'p', 1, "password"}, {'s', 1, "secure"}, {'k', 0, "no-verify"}, {'C', 1, "cacerts"},
    {'t', 1, "timeout"}, {'v', 0, "verbose"},  {'h', 0, "help"},   {256, 0, "version"}, /* it has no letter */
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

/* A whole number of seconds, from 1; 0 for any other text. */
static unsigned parse_seconds(const char *text)
{
    unsigned seconds = 0;
    for (; *text >= '0' && *text <= '9' && seconds <= MAX_SECONDS; text++)
        seconds = seconds * 10 + (unsigned)(*text - '0');
    return *text == 0 && seconds <= MAX_SECONDS ? seconds : 0;
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

static void print_and_exit(program *p, const char *first, const char *second)
{
    printf("%s%s", first, second);
    exit(flush_output(p) == 0 ? EXIT_SUCCESS : EXIT_FAILED);
}

/* Returns 0 when the value is none of its kind. */
static int set_option(program *p, int letter, char *value)
{
    switch (letter) {
    case 'u':
        p->user = value;
        return 1;
    case 'p':
        p->password = take_password(p, value);
        return 1;
    case 's':
        return (p->secure = parse_mode(value)) >= 0;
    case 'k':
        p->verify = IMAPCONNECT_NO_VERIFY;
        return 1;
    case 'C':
        p->cacerts = value;
        return 1;
    case 't':
        return (p->seconds = parse_seconds(value)) > 0;
    case 'v':
        p->verbose = 1;
        return 1;
    case 'h':
        print_and_exit(p, usage_line, usage_options);
        return 1;
    default:
        print_and_exit(p, "imapconnect " IMAPCONNECT_VERSION, "\n");
        return 1;
    }
}

static int bad_usage(const char *what, const char *option_text, size_t length)
{
    fprintf(stderr, "imapconnect: %s%.*s\n%s", what, (int)length, option_text, usage_line);
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
    return set_option(p, o->letter, value) || bad_usage("bad value behind ", shown, length);
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

/* ---- the password ---- */

static int terminal = -1;
static struct termios terminal_before;

/* On Ctrl-C and the like: the terminal as it was, then what the signal does by default. SA_RESETHAND has
   reset the handler, and the signal raised here arrives when this function returns. */
static void restore_terminal(int number)
{
    tcsetattr(terminal, TCSANOW, &terminal_before);
    raise(number);
}

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

/* What no option gave. An environment variable that is set counts, also when it is empty. */
static int find_credentials(program *p)
{
    if (p->user == 0)
        p->user = getenv("IMAPCONNECT_USER");
    if (p->user == 0)
        return bad_usage("no user name: give it with -u or in $IMAPCONNECT_USER", "", 0);
    if (p->password == 0)
        p->password = getenv("IMAPCONNECT_PASSWORD");
    if (p->password == 0)
        p->password = ask_password(p);
    return p->password != 0 || bad_usage("no password, and no terminal to ask for it", "", 0);
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

/* Every byte of every response comes by here. A line end becomes LF; a literal stays as it is. */
static int on_response(void *user, int event, const char *bytes, size_t count)
{
    program *p = user;
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

static int on_log(void *user, int direction, const char *bytes, size_t count)
{
    program *p = user;
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
    else if (answer[0] == 'N' || answer[0] == 'B') /* NO, BAD, BYE */
        snprintf(words, sizeof words, "%s: %s%s%s%s %s",
                 vouched_for ? "the server said" : "the server, or someone on the way, said", answer,
                 response_code[0] ? " [" : "", response_code, response_code[0] ? "]" : "",
                 imapconnect_server_text(imap));
    escape(p->said, sizeof p->said, words);
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
    last_line(line, sizeof line, p->failure);
    fputs(line, stderr);
    return EXIT_FAILED;
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

static void watch(const imapconnect_session *imap, unsigned seconds)
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
    config.ca_path = p->cacerts;
    config.timeout = p->seconds * 1000;
    return imapconnect_init(imap, &config);
}

static int open_session(program *p, imapconnect_session *imap, const char *server)
{
    int result;
    p->quiet = p->secure == IMAPCONNECT_STARTTLS; /* until TLS is up nobody vouches for what comes */
    watch(imap, p->seconds);
    result = imapconnect(imap, server, p->user, p->password, p->verbose ? on_log : 0, 0, p->secure, p->verify);
    alarm(0);
    wipe(p->secret, sizeof p->secret);
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

/* After NO or BAD to a command there is a session to log out of. After any other error nothing more is sent.
 */
static void run(program *p, imapconnect_session *imap, const char *server, char **commands)
{
    int code = settle(p, imap, open_session(p, imap, server));
    for (; code == 0 && *commands != 0; commands++)
        code = settle(p, imap, imapconnect_command(imap, *commands, 0));
    if (code == 0 || code == IMAPCONNECT_E_NO || code == IMAPCONNECT_E_BAD) {
        p->quiet = 1;
        settle(p, imap, imapconnect_disconnect(imap, 0));
    }
    imapconnect_close(imap);
}

int main(int argc, char **argv)
{
    static program p = {.secure = IMAPCONNECT_TLS, .verify = IMAPCONNECT_VERIFY, .seconds = 60};
    static imapconnect_session imap;
    char **operands;

    occupy_standard_files();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is reported like any other error of writing */
    operands = parse_command_line(&p, argc > 0 ? argv + 1 : argv);
    if (operands == 0 || !find_credentials(&p))
        return EXIT_USAGE;
    p.failure = configure(&p, &imap);
    if (p.failure == 0)
        run(&p, &imap, operands[0], operands + 1);
    return report(&p);
}
