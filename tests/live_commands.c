/* live_commands: every command of imapconnect.h against a real server, tests/dovecot.sh. A helper of commands.sh.

       live_commands GROUP USER SECURE MODE

   GROUP     commands, names, errors, idle, link, race: checks of behaviour
             big, many: of memory and speed; they are compiled without sanitizers
   USER      one with mail of their own, see dovecot.sh, which no other run uses at the same time
   SECURE    0, 1, 2
   MODE      blocking, or stepping: a non-blocking session, driven by poll

   What dovecot.sh wrote into DIR/env is in the environment. Each check is one line, `ok NAME` or `not ok NAME - why`;
   the last line is `done`. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- checks ---- */

static const char *group, *user, *mode_name;
static int secure, stepping;
static int has_move, has_uidplus, has_literal_plus, has_idle; /* what the server offers */
static char check_name[160] = "start", why[600];
static int bad_checks;

static void begin(const char *name)
{
    static const char *const secures[] = {"clear", "TLS", "STARTTLS"};
    snprintf(check_name, sizeof check_name, "%s of %s, %s, %s: %s", group, user, secures[secure], mode_name, name);
    why[0] = 0;
}

static void fails(int line, const char *what)
{
    if (why[0] == 0)
        snprintf(why, sizeof why, "line %d: %s", line, what);
}

static void end(void)
{
    if (why[0] == 0)
        printf("ok %s\n", check_name);
    else
        printf("not ok %s - %s\n", check_name, why);
    bad_checks += why[0] != 0;
    fflush(stdout);
}

#define CHECK(condition) ((condition) ? (void)0 : fails(__LINE__, #condition))

static void check_number(int line, const char *what, long long got, long long wanted)
{
    char text[400];
    if (got == wanted)
        return;
    snprintf(text, sizeof text, "%.300s is %lld, not %lld", what, got, wanted);
    fails(line, text);
}

#define NUMBER(got, wanted) check_number(__LINE__, #got, (long long)(got), (long long)(wanted))

static void check_text(int line, const char *what, const char *got, const char *wanted)
{
    char text[500];
    if (strcmp(got, wanted) == 0)
        return;
    snprintf(text, sizeof text, "%.100s is '%.150s', not '%.150s'", what, got, wanted);
    fails(line, text);
}

#define TEXT(got, wanted) check_text(__LINE__, #got, got, wanted)

/* What hangs would be killed by commands.sh without a word. */
static void on_alarm(int number)
{
    static const char before[] = "not ok ", after[] = " - it hangs\n";
    (void)number;
    if (write(1, before, sizeof before - 1) < 0 || write(1, check_name, strlen(check_name)) < 0 ||
        write(1, after, sizeof after - 1) < 0)
        _exit(3);
    _exit(2);
}

static uint32_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint32_t)time.tv_sec * 1000u + (uint32_t)(time.tv_nsec / 1000000);
}

static void pause_for(uint32_t milliseconds)
{
    struct timespec time;
    time.tv_sec = (time_t)(milliseconds / 1000);
    time.tv_nsec = (long)(milliseconds % 1000) * 1000000;
    nanosleep(&time, 0);
}

static const char *from_environment(const char *name)
{
    const char *value = getenv(name);
    if (value == 0) {
        fprintf(stderr, "live_commands: %s is not set\n", name);
        exit(2);
    }
    return value;
}

/* ---- a session, and what it sent ---- */

struct client {
    imapconnect_session imap;
    imapconnect_config config;
    imapconnect_list list;
    const char *user;
    int secure;
    int stepping;
    unsigned steps;                   /* of the last call */
    void (*between)(struct client *); /* called before each step, when it is not 0 */
    uint32_t stop_at;                 /* for `between` and `keep_going` */
    uint32_t nap;                     /* the same */
    size_t sent_used;
    char text[32768]; /* of the list */
    char sent[16384]; /* the lines that left, from the log */
};

static int on_log(void *context, int direction, const char *bytes, size_t count)
{
    struct client *c = (struct client *)context;
    if ((direction & IMAPCONNECT_LOG_SENT) == 0)
        return 0;
    if (count > sizeof c->sent - 2 - c->sent_used)
        count = sizeof c->sent - 2 - c->sent_used;
    memcpy(c->sent + c->sent_used, bytes, count);
    c->sent_used += count;
    if ((direction & IMAPCONNECT_LOG_MORE) == 0 && c->sent_used < sizeof c->sent - 2)
        c->sent[c->sent_used++] = '\n';
    c->sent[c->sent_used] = 0;
    return 0;
}

static void forget_sent(struct client *c)
{
    c->sent_used = 0;
    c->sent[0] = 0;
}

static int was_sent(const struct client *c, const char *text)
{
    return strstr(c->sent, text) != 0;
}

static void add_word(char *words, size_t size, const char *word, size_t length)
{
    size_t used = strlen(words);
    snprintf(words + used, size - used, "%s%.*s", used == 0 ? "" : " ", (int)length, word);
}

/* The commands that left since forget_sent(), "NOOP UID FETCH"; what has no tag is left out, but for DONE. */
static const char *commands(const struct client *c)
{
    static char words[1024];
    const char *line = c->sent, *next;
    words[0] = 0;
    for (; *line != 0; line = next) {
        const char *word = line + strcspn(line, " \n");
        next = line + strcspn(line, "\n");
        next += *next != 0;
        if (strncmp(line, "DONE\n", 5) == 0)
            add_word(words, sizeof words, "DONE", 4);
        if (*line != 'a' || *word != ' ' || strspn(line + 1, "0123456789") != (size_t)(word - line) - 1)
            continue;
        word++;
        add_word(words, sizeof words, word, strcspn(word, " \n"));
        if (strncmp(word, "UID ", 4) == 0)
            add_word(words, sizeof words, word + 4, strcspn(word + 4, " \n"));
    }
    return words;
}

/* The event loop of the manual. A blocking session must never be pending, and here no call is so quick that a stepping
   one could not be. */
static int finish(struct client *c, int status)
{
    c->steps = 0;
    if (!c->stepping && status == IMAPCONNECT_PENDING)
        fails(__LINE__, "a blocking session says PENDING");
    while (status == IMAPCONNECT_PENDING) {
        uint32_t milliseconds = 0;
        int wants = imapconnect_wants(&c->imap, &milliseconds);
        struct pollfd item;
        item.fd = imapconnect_socket(&c->imap);
        item.events =
            (short)((wants & IMAPCONNECT_READABLE ? POLLIN : 0) | (wants & IMAPCONNECT_WRITABLE ? POLLOUT : 0));
        if (c->between != 0 && milliseconds > 10)
            milliseconds = 10;
        if (milliseconds > 0)
            poll(&item, 1, milliseconds > 60000 ? 60000 : (int)milliseconds);
        if (c->between != 0)
            c->between(c);
        status = imapconnect_step(&c->imap);
        c->steps++;
    }
    return status;
}

static int expect(int line, struct client *c, const char *what, int status, int wanted)
{
    char text[500];
    status = finish(c, status);
    if (status == wanted)
        return 1;
    snprintf(text, sizeof text, "%.160s returns %d (%.80s), not %d; %s [%.60s] %.60s", what, status,
             imapconnect_strerror(status), wanted, imapconnect_answer(&c->imap), imapconnect_response_code(&c->imap),
             imapconnect_server_text(&c->imap));
    fails(line, text);
    return 0;
}

/* A call on the session `c` that must return 0, or this number. */
#define DO(call)          expect(__LINE__, c, #call, imapconnect_##call, 0)
#define GIVES(code, call) expect(__LINE__, c, #call, imapconnect_##call, code)
#define S                 &c->imap
#define L                 &c->list

static void prepare(struct client *c, const char *who, int how, int steps)
{
    memset(c, 0, sizeof *c);
    imapconnect_config_init(&c->config);
    c->config.user = c;
    c->config.ca_path = from_environment("CAFILE");
    c->config.timeout = 20000;
    c->config.nonblocking = steps;
    c->user = who;
    c->secure = how;
    c->stepping = steps;
    imapconnect_list_init(&c->list, c->text, sizeof c->text);
}

/* Connects to this port, and looks whether the session is as it should be. */
static int open_at(struct client *c, const char *port)
{
    char server[80];
    int status;
    snprintf(server, sizeof server, "%s:%s", from_environment("HOST"), port);
    imapconnect_init(&c->imap, &c->config);
    forget_sent(c);
    status = finish(c, imapconnect(&c->imap, server, c->user, from_environment("PASSWORD"), on_log, &c->list,
                                   c->secure, IMAPCONNECT_VERIFY));
    if (status < 0)
        expect(__LINE__, c, "imapconnect", status, 0);
    CHECK(imapconnect_is_encrypted(&c->imap) == (c->secure != 0));
    forget_sent(c);
    return status >= 0;
}

static int open_session(struct client *c)
{
    return open_at(c, from_environment(c->secure == IMAPCONNECT_TLS ? "IMAPS_PORT" : "IMAP_PORT"));
}

static void close_session(struct client *c)
{
    finish(c, imapconnect_disconnect(&c->imap, 0));
    imapconnect_close(&c->imap);
}

/* After every error that is not fatal the session must go on. */
static void goes_on(struct client *c, int line)
{
    if (!imapconnect_is_open(&c->imap))
        fails(line, "the session is over");
    expect(line, c, "NOOP afterwards", imapconnect_noop(&c->imap, L), 0);
}

/* The list must end with the tagged OK, and have nothing but whole lines. */
static void list_is_good(struct client *c, int line)
{
    const char *entry = 0, *last = "";
    while ((entry = imapconnect_list_next(L, entry)) != 0)
        last = entry;
    if (c->list.truncated || c->list.cut || c->list.unfinished || last[0] != 'a' || strstr(last, " OK ") == 0)
        fails(line, "the response list does not end with the tagged OK");
}

/* Whether the list has a line with this in it. */
static int listed(const struct client *c, const char *text)
{
    const char *entry = 0;
    while ((entry = imapconnect_list_next(&c->list, entry)) != 0)
        if (strstr(entry, text) != 0)
            return 1;
    return 0;
}

/* ---- messages: made, stored, received ---- */

struct draft {
    const char *text;
    size_t size, given, at_once;
    unsigned calls;
};

static int from_draft(void *context, void *bytes, size_t count)
{
    struct draft *draft = (struct draft *)context;
    if (count > draft->size - draft->given)
        count = draft->size - draft->given;
    if (count > draft->at_once)
        count = draft->at_once;
    memcpy(bytes, draft->text + draft->given, count);
    draft->given += count;
    draft->calls++;
    return (int)count;
}

static struct draft draft_of(const char *text, size_t size)
{
    struct draft draft;
    memset(&draft, 0, sizeof draft);
    draft.text = text;
    draft.size = size;
    draft.at_once = 77;
    return draft;
}

/* Stores a text; returns the UID, which APPENDUID tells, or 0. RFC 4315 section 3. */
static uint32_t store(struct client *c, const char *mailbox, const char *text, const char *flags)
{
    struct draft draft = draft_of(text, strlen(text));
    unsigned long validity = 0, uid = 0;
    imapconnect_flags set;
    memset(&set, 0, sizeof set);
    set.answered = strchr(flags, 'A') != 0;
    set.deleted = strchr(flags, 'T') != 0;
    set.draft = strchr(flags, 'D') != 0;
    set.flagged = strchr(flags, 'F') != 0;
    set.seen = strchr(flags, 'S') != 0;
    DO(append(S, mailbox, &set, 0, (uint32_t)draft.size, from_draft, &draft, L));
    list_is_good(c, __LINE__);
    NUMBER(draft.given, draft.size);
    if (sscanf(imapconnect_response_code(S), "APPENDUID %lu %lu", &validity, &uid) != 2)
        fails(__LINE__, "no APPENDUID");
    return (uint32_t)uid;
}

/* The same for the first ones in a mailbox made for them; their UIDs are 1, 2, 3 ... */
static void fill(struct client *c, const char *mailbox, const char *const *flags, size_t count)
{
    char text[200];
    size_t i;
    DO(create_mailbox(S, mailbox, L));
    for (i = 0; i < count; i++) {
        snprintf(text, sizeof text, "Subject: number %lu\r\n\r\n%.*s\r\n", (unsigned long)i + 1, (int)i + 1,
                 "bodybodybody");
        NUMBER(store(c, mailbox, text, flags[i]), i + 1);
    }
}

struct bytes {
    char data[200000];
    size_t used;
    unsigned calls;
};

static struct bytes received;

static int into_bytes(void *context, const void *bytes, size_t count)
{
    struct bytes *to = (struct bytes *)context;
    if (count == 0)
        fails(__LINE__, "the sink got no bytes");
    if (count > sizeof to->data - to->used)
        return 1;
    memcpy(to->data + to->used, bytes, count);
    to->used += count;
    to->calls++;
    return 0;
}

static int received_is(const char *text, size_t size)
{
    return received.used == size && memcmp(received.data, text, size) == 0;
}

/* One part into `received`. */
static int receive(struct client *c, uint32_t uid, const char *section, uint32_t offset, uint32_t count)
{
    imapconnect_part part;
    memset(&part, 0, sizeof part);
    part.section = section;
    part.offset = offset;
    part.count = count;
    received.used = received.calls = 0;
    return DO(recv_part(S, uid, &part, into_bytes, &received, L));
}

static void receive_whole(struct client *c, uint32_t uid)
{
    received.used = received.calls = 0;
    DO(recv_message(S, uid, into_bytes, &received, L));
}

/* ---- rows ---- */

#define ROWS 64

struct messages {
    imapconnect_message row[ROWS];
    size_t count;
};

static struct messages messages;

static int into_messages(void *context, const imapconnect_message *row)
{
    struct messages *to = (struct messages *)context;
    if (to->count == ROWS)
        return 1;
    to->row[to->count++] = *row;
    return 0;
}

static void list_messages(struct client *c, int by, uint32_t first, uint32_t last)
{
    memset(&messages, 0, sizeof messages);
    DO(list_messages(S, by, first, last, into_messages, &messages, L));
    list_is_good(c, __LINE__);
}

/* The flags of a row as letters, Recent left out: the server's business. */
static const char *letters(const imapconnect_flags *flags)
{
    static char text[8];
    char *at = text;
    if (flags->answered)
        *at++ = 'A';
    if (flags->draft)
        *at++ = 'D';
    if (flags->flagged)
        *at++ = 'F';
    if (flags->seen)
        *at++ = 'S';
    if (flags->deleted)
        *at++ = 'T';
    *at = 0;
    return text;
}

/* The UIDs and flags of the open mailbox, "1 2:FS 5:T". */
static const char *contents(struct client *c)
{
    static char text[1000];
    size_t i, used = 0;
    list_messages(c, IMAPCONNECT_BY_SEQUENCE, 0, 0);
    text[0] = 0;
    for (i = 0; i < messages.count && used < sizeof text; i++) {
        const char *flags = letters(&messages.row[i].flags);
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%lu%s%s", i == 0 ? "" : " ",
                                 (unsigned long)messages.row[i].uid, flags[0] == 0 ? "" : ":", flags);
    }
    return text;
}

struct mailboxes {
    imapconnect_mailbox row[ROWS];
    char name[ROWS][600];
    size_t count;
};

static struct mailboxes mailboxes;

static int into_mailboxes(void *context, const imapconnect_mailbox *row)
{
    struct mailboxes *to = (struct mailboxes *)context;
    if (to->count == ROWS)
        return 1;
    to->row[to->count] = *row;
    snprintf(to->name[to->count], sizeof to->name[0], "%s", row->name);
    to->row[to->count].name = to->name[to->count];
    to->count++;
    return 0;
}

static void lower(char *text)
{
    for (; *text != 0; text++)
        if (*text >= 'A' && *text <= 'Z')
            *text = (char)(*text + 'a' - 'A');
}

/* The attributes of each row against those of its line: the n-th line of LIST is the n-th row. */
static void columns_fit(const struct client *c)
{
    const char *entry = 0;
    size_t i = 0;
    while ((entry = imapconnect_list_next(&c->list, entry)) != 0) {
        const imapconnect_mailbox *row = &mailboxes.row[i];
        char flags[200];
        if (strncmp(entry, "* LIST (", 8) != 0 && strncmp(entry, "* LSUB (", 8) != 0)
            continue;
        snprintf(flags, sizeof flags, " %.*s ", (int)strcspn(entry + 8, ")"), entry + 8);
        lower(flags);
        CHECK(i < mailboxes.count);
        CHECK(row->has_children == (strstr(flags, " \\haschildren ")     ? 1
                                    : strstr(flags, " \\hasnochildren ") ? 0
                                                                         : -1));
        CHECK(row->no_inferiors == (strstr(flags, " \\noinferiors ") != 0));
        CHECK(row->no_select == (strstr(flags, " \\noselect ") != 0));
        CHECK(row->marked == (strstr(flags, " \\marked ") != 0));
        CHECK(row->unmarked == (strstr(flags, " \\unmarked ") != 0));
        i++;
    }
    NUMBER(i, mailboxes.count);
}

static void list_mailboxes(struct client *c, const char *reference, const char *pattern)
{
    memset(&mailboxes, 0, sizeof mailboxes);
    DO(list_mailboxes(S, reference, pattern, into_mailboxes, &mailboxes, L));
    list_is_good(c, __LINE__);
    columns_fit(c);
}

static void list_subscribed(struct client *c, const char *reference, const char *pattern)
{
    memset(&mailboxes, 0, sizeof mailboxes);
    DO(list_subscribed_mailboxes(S, reference, pattern, into_mailboxes, &mailboxes, L));
    list_is_good(c, __LINE__);
    columns_fit(c);
}

/* The row with this name; one of nothing but 99 when there is none, so that what is looked up in it is wrong. */
static const imapconnect_mailbox *row_of(const char *name)
{
    static imapconnect_mailbox nothing;
    size_t i;
    for (i = 0; i < mailboxes.count; i++)
        if (strcmp(mailboxes.name[i], name) == 0)
            return &mailboxes.row[i];
    memset(&nothing, 99, sizeof nothing);
    return &nothing;
}

static int has_row(const char *name)
{
    return row_of(name)->no_select != 99;
}

/* Selects it and looks how many messages it has. */
static void select_with(struct client *c, const char *mailbox, uint32_t count)
{
    imapconnect_selection selection;
    memset(&selection, 99, sizeof selection);
    if (DO(select_mailbox(S, mailbox, &selection, L)))
        NUMBER(selection.messages, count);
}

/* ---- group: commands ---- */

static void all_flags(int line, const imapconnect_flags *flags, int keywords)
{
    if (!flags->answered || !flags->deleted || !flags->draft || !flags->flagged || !flags->seen)
        fails(line, "a system flag is missing");
    check_number(line, "recent", flags->recent, 0);
    check_number(line, "keywords", flags->keywords, keywords);
}

static void selects_and_examines(struct client *c)
{
    static const char *const flags[] = {"S", "", "FT", "AD"};
    imapconnect_selection selection, again;
    fill(c, "select", flags, COUNT(flags));
    memset(&selection, 99, sizeof selection);
    DO(examine_mailbox(S, "select", &selection, L));
    list_is_good(c, __LINE__);
    CHECK(listed(c, "* 4 EXISTS"));
    NUMBER(selection.read_only, 1);
    NUMBER(selection.recent, 4);
    CHECK(memcmp(&selection.permanent_flags, "\0\0\0\0\0\0", 7) == 0);
    TEXT(imapconnect_response_code(S), "READ-ONLY");
    TEXT(commands(c), "CREATE APPEND APPEND APPEND APPEND EXAMINE");
    /* EXAMINE has left \Recent alone, SELECT takes it. */
    memset(&again, 99, sizeof again);
    DO(select_mailbox(S, "select", &again, L));
    list_is_good(c, __LINE__);
    NUMBER(again.messages, 4);
    NUMBER(again.recent, 4);
    NUMBER(again.uidnext, 5);
    NUMBER(again.unseen, 2);
    NUMBER(again.read_only, 0);
    CHECK(again.uidvalidity != 0 && again.uidvalidity == selection.uidvalidity);
    all_flags(__LINE__, &again.flags, 0);
    all_flags(__LINE__, &again.permanent_flags, 1);
    TEXT(imapconnect_response_code(S), "READ-WRITE");
    DO(select_mailbox(S, "select", &again, 0));
    NUMBER(again.recent, 0);
    DO(select_mailbox(S, "select", 0, 0));
}

static void selects_an_empty_one(struct client *c)
{
    imapconnect_selection selection;
    DO(create_mailbox(S, "empty", L));
    memset(&selection, 99, sizeof selection);
    DO(select_mailbox(S, "empty", &selection, L));
    NUMBER(selection.messages, 0);
    NUMBER(selection.recent, 0);
    NUMBER(selection.unseen, 0);
    NUMBER(selection.uidnext, 1);
    CHECK(selection.uidvalidity != 0);
    forget_sent(c);
    TEXT(contents(c), "");
    TEXT(commands(c), "NOOP");
}

static void tells_the_status(struct client *c)
{
    static const char *const flags[] = {"", "S", "", "F"};
    imapconnect_status status;
    imapconnect_selection selection;
    fill(c, "status", flags, COUNT(flags));
    memset(&status, 99, sizeof status);
    DO(mailbox_status(S, "status", &status, L));
    list_is_good(c, __LINE__);
    CHECK(listed(c, "* STATUS status ("));
    DO(select_mailbox(S, "status", &selection, L));
    NUMBER(status.messages, 4);
    NUMBER(status.recent, 4);
    NUMBER(status.uidnext, 5);
    NUMBER(status.unseen, 3);
    NUMBER(status.uidvalidity, selection.uidvalidity);
    DO(mailbox_status(S, "INBOX", &status, 0));
    DO(mailbox_status(S, "INBOX", 0, 0));
}

static void lists_mailboxes(struct client *c)
{
    DO(create_mailbox(S, "tree/parent", L));
    DO(create_mailbox(S, "tree/parent/child", L));
    DO(create_mailbox(S, "tree/lone", L));
    DO(create_mailbox(S, "tree/ghost/child", L));
    list_mailboxes(c, "", "tree/%");
    NUMBER(mailboxes.count, 3);
    NUMBER(row_of("tree/parent")->has_children, 1);
    NUMBER(row_of("tree/parent")->no_select, 0);
    NUMBER(row_of("tree/parent")->separator, '/');
    NUMBER(row_of("tree/parent")->raw, 0);
    NUMBER(row_of("tree/lone")->has_children, 0);
    NUMBER(row_of("tree/ghost")->has_children, 1);
    NUMBER(row_of("tree/ghost")->no_select, 1);
    NUMBER(row_of("tree/ghost")->no_inferiors, 0);
    list_mailboxes(c, "tree/", "*");
    NUMBER(mailboxes.count, 5);
    NUMBER(row_of("tree/ghost/child")->has_children, 0);
    list_mailboxes(c, "tree/", "%");
    NUMBER(mailboxes.count, 3);
    list_mailboxes(c, "", "tree");
    NUMBER(row_of("tree")->no_select, 1);
    list_mailboxes(c, "", "no such thing");
    NUMBER(mailboxes.count, 0);
    list_mailboxes(c, "", "inbox");
    CHECK(has_row("INBOX"));
}

static void tells_the_separator(struct client *c)
{
    list_mailboxes(c, "", "");
    NUMBER(mailboxes.count, 1);
    NUMBER(row_of("")->separator, '/');
    NUMBER(row_of("")->no_select, 1);
    /* The third state: nothing is said about children. */
    NUMBER(row_of("")->has_children, -1);
}

static void subscribes(struct client *c)
{
    DO(create_mailbox(S, "subs", L));
    DO(create_mailbox(S, "subs/low", L));
    list_subscribed(c, "", "*");
    NUMBER(mailboxes.count, 0);
    DO(subscribe_mailbox(S, "subs/low", L));
    list_is_good(c, __LINE__);
    list_subscribed(c, "", "*");
    NUMBER(mailboxes.count, 1);
    NUMBER(row_of("subs/low")->separator, '/');
    NUMBER(row_of("subs/low")->no_select, 0);
    NUMBER(row_of("subs/low")->has_children, -1);
    /* Its parent is not subscribed, but stands for it: RFC 3501 section 6.3.9. */
    list_subscribed(c, "", "%");
    NUMBER(row_of("subs")->no_select, 1);
    DO(unsubscribe_mailbox(S, "subs/low", L));
    list_is_good(c, __LINE__);
    list_subscribed(c, "", "*");
    NUMBER(mailboxes.count, 0);
}

static void creates_renames_deletes(struct client *c)
{
    imapconnect_status before, after;
    DO(create_mailbox(S, "made", L));
    list_is_good(c, __LINE__);
    NUMBER(store(c, "made", "Subject: x\r\n\r\nx\r\n", ""), 1);
    DO(mailbox_status(S, "made", &before, L));
    DO(rename_mailbox(S, "made", "made other", L));
    list_is_good(c, __LINE__);
    list_mailboxes(c, "", "made*");
    NUMBER(mailboxes.count, 1);
    CHECK(has_row("made other"));
    DO(mailbox_status(S, "made other", &after, L));
    NUMBER(after.messages, 1);
    NUMBER(after.uidvalidity, before.uidvalidity);
    DO(delete_mailbox(S, "made other", L));
    list_is_good(c, __LINE__);
    list_mailboxes(c, "", "made*");
    NUMBER(mailboxes.count, 0);
}

struct spaces {
    char prefix[8][100];
    imapconnect_namespace row[8];
    size_t count;
};

static int into_spaces(void *context, const imapconnect_namespace *row)
{
    struct spaces *to = (struct spaces *)context;
    if (to->count == 8)
        return 1;
    snprintf(to->prefix[to->count], sizeof to->prefix[0], "%s", row->prefix);
    to->row[to->count++] = *row;
    return 0;
}

static void lists_namespaces(struct client *c)
{
    struct spaces spaces;
    memset(&spaces, 0, sizeof spaces);
    DO(list_namespaces(S, into_spaces, &spaces, L));
    list_is_good(c, __LINE__);
    TEXT(spaces.prefix[0], "");
    NUMBER(spaces.row[0].separator, '/');
    NUMBER(spaces.row[0].kind, 0);
    if (strcmp(from_environment("VARIANT"), "no-move") != 0) {
        NUMBER(spaces.count, 1);
        return;
    }
    NUMBER(spaces.count, 2);
    TEXT(spaces.prefix[1], "Bücher/");
    NUMBER(spaces.row[1].separator, '/');
    NUMBER(spaces.row[1].kind, 2);
}

static void says_who_it_is(struct client *c)
{
    DO(id(S, "live \"commands\"", "1.0\\2", L));
    list_is_good(c, __LINE__);
    CHECK(listed(c, "* ID (\"name\" \"Dovecot\""));
    CHECK(was_sent(c, " ID (\"name\" \"live \\\"commands\\\"\" \"version\" \"1.0\\\\2\")\n"));
    DO(id(S, 0, 0, L));
    CHECK(listed(c, "* ID ("));
    CHECK(was_sent(c, " ID NIL\n"));
    DO(id(S, "name alone", 0, L));
}

static void enables(struct client *c)
{
    int utf8;
    DO(command(S, "CAPABILITY", L));
    utf8 = listed(c, " UTF8=ACCEPT");
    DO(enable(S, "CONDSTORE", L));
    list_is_good(c, __LINE__);
    CHECK(listed(c, "* ENABLED CONDSTORE"));
    DO(enable(S, "UTF8=ACCEPT X-UNKNOWN", L));
    CHECK(listed(c, "* ENABLED UTF8=ACCEPT") == utf8);
    forget_sent(c);
    GIVES(IMAPCONNECT_E_VALUE, enable(S, "IMAP4rev2", L));
    GIVES(IMAPCONNECT_E_VALUE, enable(S, "CONDSTORE imap4REV2", L));
    TEXT(commands(c), "");
    /* Either way names are what they were. */
    DO(create_mailbox(S, "Entwürfe & 日本", L));
    list_mailboxes(c, "", "Entw*");
    CHECK(has_row("Entwürfe & 日本"));
    DO(delete_mailbox(S, "Entwürfe & 日本", L));
    /* CONDSTORE adds MODSEQ to what FETCH says, which must not disturb. RFC 7162 section 3.1. */
    DO(create_mailbox(S, "modseq", L));
    NUMBER(store(c, "modseq", "Subject: x\r\n\r\nx\r\n", "F"), 1);
    DO(select_mailbox(S, "modseq", 0, L));
    DO(set_message_flags(S, 1, 1, 0, 0, 0, 0, L));
    TEXT(contents(c), "1:AF");
    receive(c, 1, "TEXT", 0, 0);
    CHECK(received_is("x\r\n", 3));
}

static void checks(struct client *c)
{
    DO(select_mailbox(S, "INBOX", 0, L));
    DO(check(S, L));
    list_is_good(c, __LINE__);
    DO(check(S, 0));
    DO(noop(S, L));
    list_is_good(c, __LINE__);
    TEXT(commands(c), "SELECT CHECK CHECK NOOP");
}

static void closes_and_unselects(struct client *c)
{
    static const char *const flags[] = {"", "T", ""};
    fill(c, "close", flags, COUNT(flags));
    DO(select_mailbox(S, "close", 0, L));
    DO(unselect_mailbox(S, L));
    list_is_good(c, __LINE__);
    GIVES(IMAPCONNECT_E_CHECK, check(S, L));
    select_with(c, "close", 3);
    /* EXAMINE is read-only: CLOSE removes nothing. RFC 3501 section 6.4.2. */
    DO(examine_mailbox(S, "close", 0, L));
    DO(close_mailbox(S, L));
    select_with(c, "close", 3);
    DO(close_mailbox(S, L));
    list_is_good(c, __LINE__);
    GIVES(IMAPCONNECT_E_CHECK, check(S, L));
    select_with(c, "close", 2);
    TEXT(contents(c), "1 3");
}

static void sets_flags(struct client *c)
{
    static const char *const flags[] = {"", "FS", "ADT"};
    fill(c, "flags", flags, COUNT(flags));
    select_with(c, "flags", 3);
    TEXT(contents(c), "1 2:FS 3:ADT");
    DO(set_message_flags(S, 1, 1, 1, 1, 1, 1, L));
    list_is_good(c, __LINE__);
    TEXT(contents(c), "1:ADFST 2:FS 3:ADT");
    DO(set_message_flags(S, 1, -1, -1, -1, -1, -1, L));
    TEXT(contents(c), "1 2:FS 3:ADT");
    DO(set_message_flags(S, 2, IMAPCONNECT_ADD, IMAPCONNECT_LEAVE, IMAPCONNECT_LEAVE, IMAPCONNECT_REMOVE,
                         IMAPCONNECT_LEAVE, L));
    TEXT(contents(c), "1 2:AS 3:ADT");
    forget_sent(c);
    DO(set_message_flags(S, 3, 0, -1, 0, 0, 0, L));
    TEXT(commands(c), "UID STORE");
    forget_sent(c);
    DO(set_message_flags(S, 3, 0, 0, -1, 1, 0, L));
    TEXT(commands(c), "UID STORE UID STORE");
    TEXT(contents(c), "1 2:AS 3:AF");
    forget_sent(c);
    DO(set_message_flags(S, 3, 0, 0, 0, 0, 0, L));
    TEXT(commands(c), "");
    /* Nobody has it: no error. */
    DO(set_message_flags(S, 4711, 1, 1, 1, 1, 1, L));
    /* Keywords are not ours, and do not disturb. */
    DO(command(S, "STORE 1 FLAGS (Custom $Forwarded)", L));
    TEXT(contents(c), "1 2:AS 3:AF");
}

static void expunges(struct client *c)
{
    static const char *const flags[] = {"T", "", "T", "F"};
    fill(c, "expunge", flags, COUNT(flags));
    select_with(c, "expunge", 4);
    DO(expunge_messages(S, L));
    list_is_good(c, __LINE__);
    CHECK(listed(c, " EXPUNGE"));
    TEXT(contents(c), "2 4:F");
    DO(expunge_messages(S, L));
    TEXT(contents(c), "2 4:F");
}

static void copies(struct client *c)
{
    static const char *const flags[] = {"", "FS"};
    fill(c, "copy", flags, COUNT(flags));
    DO(create_mailbox(S, "copy/Ziel \"ü\"", L));
    select_with(c, "copy", 2);
    DO(copy_message(S, 2, "copy/Ziel \"ü\"", L));
    list_is_good(c, __LINE__);
    DO(copy_message(S, 4711, "copy/Ziel \"ü\"", L));
    TEXT(contents(c), "1 2:FS");
    receive_whole(c, 2);
    DO(examine_mailbox(S, "copy/Ziel \"ü\"", 0, L));
    TEXT(contents(c), "1:FS");
    receive(c, 1, "TEXT", 0, 0);
    CHECK(received_is("bo\r\n", 4));
}

static void moves(struct client *c)
{
    static const char *const flags[] = {"T", "FS", ""};
    /* What was flagged \Deleted before goes only where the server has no UIDPLUS. */
    const char *left = has_uidplus ? "1:T 3" : "3";
    fill(c, "move", flags, COUNT(flags));
    DO(create_mailbox(S, "move/to", L));
    select_with(c, "move", 3);
    forget_sent(c);
    DO(move_message(S, 2, "move/to", L));
    list_is_good(c, __LINE__);
    TEXT(commands(c), has_move      ? "UID MOVE"
                      : has_uidplus ? "UID COPY UID STORE UID EXPUNGE"
                                    : "UID COPY UID STORE EXPUNGE");
    TEXT(contents(c), left);
    forget_sent(c);
    GIVES(IMAPCONNECT_E_COPY, move_message(S, 3, "move/nowhere", L));
    CHECK(strncmp(imapconnect_response_code(S), "TRYCREATE", 9) == 0);
    TEXT(commands(c), has_move ? "UID MOVE" : "UID COPY");
    TEXT(contents(c), left);
    select_with(c, "move/to", 1);
    TEXT(contents(c), "1:FS");
    receive(c, 1, "TEXT", 0, 0);
    CHECK(received_is("bo\r\n", 4));
}

/* Dovecot moves out of a read-only mailbox with MOVE; without it, it says OK to STORE and EXPUNGE, and does nothing.
   Whatever is returned must be true. */
static void moves_from_read_only(struct client *c)
{
    static const char *const flags[] = {"", "F"};
    int status;
    fill(c, "locked", flags, COUNT(flags));
    DO(create_mailbox(S, "locked/to", L));
    DO(examine_mailbox(S, "locked", 0, L));
    status = finish(c, imapconnect_move_message(S, 1, "locked/to", L));
    select_with(c, "locked", status == 0 ? 1 : 2);
    select_with(c, "locked/to", status == 0 || status == IMAPCONNECT_E_STORE || status == IMAPCONNECT_E_EXPUNGE);
}

static struct messages found;

static int into_found(void *context, uint32_t uid)
{
    struct messages *to = (struct messages *)context;
    if (to->count == ROWS)
        return 1;
    to->row[to->count++].uid = uid;
    return 0;
}

/* The UIDs that a search finds, "1 3". */
static const char *search(struct client *c, const char *criteria, const char *text, const char *charset)
{
    static char uids[400];
    size_t i, used = 0;
    memset(&found, 0, sizeof found);
    DO(search(S, criteria, text, charset, into_found, &found, L));
    list_is_good(c, __LINE__);
    uids[0] = 0;
    for (i = 0; i < found.count && used < sizeof uids; i++)
        used += (size_t)snprintf(uids + used, sizeof uids - used, "%s%lu", i == 0 ? "" : " ",
                                 (unsigned long)found.row[i].uid);
    return uids;
}

static void fill_for_search(struct client *c, const char *longest)
{
    char text[1000];
    DO(create_mailbox(S, "search", L));
    store(c, "search",
          "From: joerg@example.org\r\nSubject: =?UTF-8?Q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\n"
          "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\nGrüezi aus Zürich\r\n",
          "");
    store(c, "search", "Subject: plain\r\n\r\nso \"called\" back\\slash, {5}\r\n", "S");
    store(c, "search", "Subject: =?ISO-8859-1?Q?Gr=FC=DFe?=\r\n\r\nx\r\n", "F");
    store(c, "search", "Subject: =?UTF-8?B?8J+TrCBwb3N0?=\r\n\r\nx\r\n", "");
    snprintf(text, sizeof text, "Subject: long\r\n\r\n%s\r\n", longest);
    store(c, "search", text, "");
}

static void searches(struct client *c)
{
    char longest[801];
    memset(longest, 'l', 800);
    longest[800] = 0;
    fill_for_search(c, longest);
    select_with(c, "search", 5);
    TEXT(search(c, "ALL", 0, 0), "1 2 3 4 5");
    TEXT(search(c, "UNSEEN", 0, 0), "1 3 4 5");
    TEXT(search(c, "UID 2:3", 0, 0), "2 3");
    TEXT(search(c, "SUBJECT", "Grüße", "UTF-8"), "1 3");
    TEXT(search(c, "UNSEEN FLAGGED SUBJECT", "Grüße", "UTF-8"), "3");
    TEXT(search(c, "SUBJECT", "Gr\xfc\xdf", "ISO-8859-1"), "1 3");
    TEXT(search(c, "SUBJECT", "📬", "UTF-8"), "4");
    TEXT(search(c, "BODY", "Zürich", "UTF-8"), "1");
    TEXT(search(c, "BODY", "\"called\" back\\slash, {5}", 0), "2");
    TEXT(search(c, "BODY", longest, 0), "5");
    TEXT(search(c, "FROM", "joerg", 0), "1");
    TEXT(search(c, "SUBJECT", "", 0), "1 2 3 4 5");
    TEXT(search(c, "SUBJECT", "no such thing", 0), "");
    GIVES(IMAPCONNECT_E_NO, search(S, "SUBJECT", "x", "X-NONE", into_found, &found, L));
    CHECK(strncmp(imapconnect_response_code(S), "BADCHARSET", 10) == 0);
    goes_on(c, __LINE__);
    GIVES(IMAPCONNECT_E_BAD, search(S, "NONSENSE", 0, 0, into_found, &found, L));
    goes_on(c, __LINE__);
    TEXT(search(c, "UID 2:3", 0, 0), "2 3");
}

/* "17-Jul-1996 02:44:25 -0700" in seconds since 1970; 0 when it is no such date. */
static long seconds_of(const char *date)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    const char *found_at;
    char name[4], sign;
    int day, year, month, hour, minute, second, zone;
    long days;
    if (strlen(date) != 26 ||
        sscanf(date, "%2d-%3[A-Za-z]-%4d %2d:%2d:%2d %c%4d", &day, name, &year, &hour, &minute, &second, &sign,
               &zone) != 8 ||
        (found_at = strstr(months, name)) == 0)
        return 0;
    month = (int)(found_at - months) / 3 + 1;
    zone = (zone / 100 * 60 + zone % 100) * (sign == '-' ? -60 : 60);
    /* The year begins in March, so that the leap day is its last. */
    year -= month < 3;
    month += month < 3 ? 9 : -3;
    days = 365L * year + year / 4 - year / 100 + year / 400 + (153 * month + 2) / 5 + day - 1 - 719468;
    return days * 86400 + hour * 3600L + minute * 60L + second - zone;
}

/* Every byte but NUL, CR and LF, in lines of 300 to 600 of them; `text` holds `size` bytes. No line end at the end. */
static size_t make_octets(char *text, size_t size)
{
    size_t used = (size_t)snprintf(text, size, "Subject: octets\r\nDate: Fri, 17 Nov 2023 00:00:00 +0000\r\n\r\n");
    unsigned byte = 0, line = 0;
    while (used < size - 2) {
        byte = byte % 255 + 1;
        if (byte == '\r' || byte == '\n')
            continue;
        text[used++] = (char)(byte ^ 0);
        if (++line % 417 == 0 && used < size - 4) {
            text[used++] = '\r';
            text[used++] = '\n';
        }
    }
    return used;
}

static void appends(struct client *c)
{
    static char octets[100000];
    struct draft draft = draft_of(octets, make_octets(octets, sizeof octets));
    imapconnect_flags set = {1, 0, 0, 1, 1, 1, 1}; /* \Recent and keywords do not count */
    DO(create_mailbox(S, "append", L));
    draft.at_once = 1000;
    DO(append(S, "append", &set, "17-Jul-1996 02:44:25 -0700", (uint32_t)draft.size, from_draft, &draft, L));
    list_is_good(c, __LINE__);
    CHECK(was_sent(c, "+}\n") == has_literal_plus);
    CHECK(strncmp(imapconnect_response_code(S), "APPENDUID ", 10) == 0);
    select_with(c, "append", 1);
    TEXT(contents(c), "1:AFS");
    NUMBER(messages.row[0].size, draft.size);
    NUMBER(seconds_of(messages.row[0].internal_date), 837596665);
    receive_whole(c, 1);
    CHECK(received_is(octets, draft.size));
    /* One byte, and byte by byte; into the open mailbox. */
    draft = draft_of("x", 1);
    DO(append(S, "append", 0, 0, 1, from_draft, &draft, L));
    draft = draft_of("Subject: slow\r\n\r\nslow\r\n", 23);
    draft.at_once = 1;
    DO(append(S, "append", 0, 0, 23, from_draft, &draft, L));
    NUMBER(draft.calls, 23);
    TEXT(contents(c), "1:AFS 2 3");
    receive_whole(c, 2);
    CHECK(received_is("x", 1));
    receive_whole(c, 3);
    CHECK(received_is("Subject: slow\r\n\r\nslow\r\n", 23));
    CHECK(labs(seconds_of(messages.row[2].internal_date) - (long)time(0)) < 100);
}

/* Dovecot refuses it: "Can't save a zero byte message". */
static void appends_nothing(struct client *c)
{
    struct draft draft = draft_of("", 0);
    imapconnect_status status;
    DO(create_mailbox(S, "nothing", L));
    GIVES(IMAPCONNECT_E_NO, append(S, "nothing", 0, 0, 0, from_draft, &draft, L));
    NUMBER(draft.calls, 0);
    goes_on(c, __LINE__);
    DO(mailbox_status(S, "nothing", &status, L));
    NUMBER(status.messages, 0);
}

#define HEAD                                                                                          \
    "From: =?UTF-8?Q?Ren=C3=A9?= <rene@example.org>\r\nTo: joe@example.net\r\nSubject: Gr=FC=DFe\r\n" \
    " aus einer\tlangen Zeile\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"cut\"\r\n\r\n"
#define PART_1 "Grüße aus Zürich.\r\n)\r\na1 OK done\r\n* 1 FETCH (BODY[] {5}\r\n\r\n"
#define MIME_2 "Content-Type: image/gif\r\nContent-Transfer-Encoding: base64\r\n\r\n"
#define PART_2 "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
#define BODY   "Preamble\r\n--cut\r\n\r\n" PART_1 "\r\n--cut\r\n" MIME_2 PART_2 "\r\n--cut--\r\n"

static void fill_for_receive(struct client *c, const char *mailbox)
{
    DO(create_mailbox(S, mailbox, L));
    store(c, mailbox, HEAD BODY, "");
    store(c, mailbox, "Subject: no body\r\n\r\n", "");
    select_with(c, mailbox, 2);
}

static void receives(struct client *c)
{
    fill_for_receive(c, "receive");
    received.used = received.calls = 0;
    DO(recv_headers(S, 1, into_bytes, &received, L));
    list_is_good(c, __LINE__);
    CHECK(received_is(HEAD, strlen(HEAD)));
    CHECK(!listed(c, "rene@example.org"));
    receive_whole(c, 1);
    list_is_good(c, __LINE__);
    CHECK(received_is(HEAD BODY, strlen(HEAD BODY)));
    receive_whole(c, 2);
    CHECK(received_is("Subject: no body\r\n\r\n", 20));
    /* An empty text: "" or NIL. */
    receive(c, 2, "TEXT", 0, 0);
    NUMBER(received.calls, 0);
    received.used = received.calls = 0;
    GIVES(IMAPCONNECT_E_NO_MESSAGE, recv_message(S, 3, into_bytes, &received, L));
    GIVES(IMAPCONNECT_E_NO_MESSAGE, recv_headers(S, 4000000000u, into_bytes, &received, L));
    NUMBER(received.calls, 0);
    goes_on(c, __LINE__);
    TEXT(contents(c), "1 2");
}

static void receives_parts(struct client *c)
{
    imapconnect_part part = {"TEXT", 0, 3, 1};
    fill_for_receive(c, "parts");
    receive(c, 1, 0, 0, 0);
    CHECK(received_is(HEAD BODY, strlen(HEAD BODY)));
    receive(c, 1, "", 0, 0);
    CHECK(received_is(HEAD BODY, strlen(HEAD BODY)));
    receive(c, 1, "HEADER", 0, 0);
    CHECK(received_is(HEAD, strlen(HEAD)));
    receive(c, 1, "TEXT", 0, 0);
    CHECK(received_is(BODY, strlen(BODY)));
    receive(c, 1, "1", 0, 0);
    CHECK(received_is(PART_1, strlen(PART_1)));
    receive(c, 1, "2", 0, 0);
    CHECK(received_is(PART_2, strlen(PART_2)));
    receive(c, 1, "2.MIME", 0, 0);
    CHECK(received_is(MIME_2, strlen(MIME_2)));
    receive(c, 1, "HEADER.FIELDS (TO MIME-Version)", 0, 0);
    CHECK(received_is("To: joe@example.net\r\nMIME-Version: 1.0\r\n\r\n", 42));
    receive(c, 1, "HEADER.FIELDS.NOT (FROM SUBJECT CONTENT-TYPE MIME-VERSION)", 0, 0);
    CHECK(received_is("To: joe@example.net\r\n\r\n", 23));
    /* What is not there is empty. */
    receive(c, 1, "7", 0, 0);
    NUMBER(received.calls, 0);
    received.used = 0;
    GIVES(IMAPCONNECT_E_NO_MESSAGE, recv_part(S, 99, &part, into_bytes, &received, L));
    TEXT(contents(c), "1 2");
    DO(recv_part(S, 1, &part, into_bytes, &received, L));
    CHECK(received_is("Pre", 3));
    TEXT(contents(c), "1:S 2");
}

/* Pieces of `count` bytes, put together. */
static void receives_in_pieces(struct client *c, uint32_t count)
{
    static char whole[sizeof HEAD BODY];
    size_t used = 0;
    uint32_t offset = 0;
    do {
        if (!receive(c, 1, 0, offset, count) || received.used > count || received.used > sizeof whole - used)
            break;
        memcpy(whole + used, received.data, received.used);
        used += received.used;
        offset += count;
    } while (received.used == count);
    NUMBER(used, strlen(HEAD BODY));
    CHECK(memcmp(whole, HEAD BODY, strlen(HEAD BODY)) == 0);
}

static void receives_pieces(struct client *c)
{
    const size_t size = strlen(HEAD BODY);
    fill_for_receive(c, "pieces");
    receives_in_pieces(c, 100);
    receives_in_pieces(c, 37);
    receives_in_pieces(c, (uint32_t)size);
    receives_in_pieces(c, (uint32_t)size - 1);
    receive(c, 1, 0, 5, 0); /* count 0: to the end */
    CHECK(received_is(&(HEAD BODY)[5], size - 5));
    receive(c, 1, "1", 3, 4);
    CHECK(received_is(&PART_1[3], 4));
    receive(c, 1, 0, (uint32_t)size + 1000, 10);
    NUMBER(received.calls, 0);
    TEXT(contents(c), "1 2");
}

static void lists_messages(struct client *c)
{
    static const char *const flags[] = {"", "A", "D", "F", "S", "T", "ADFST"};
    uint32_t i;
    fill(c, "rows", flags, COUNT(flags));
    select_with(c, "rows", 7);
    forget_sent(c);
    TEXT(contents(c), "1 2:A 3:D 4:F 5:S 6:T 7:ADFST");
    TEXT(commands(c), "NOOP FETCH");
    for (i = 0; i < messages.count; i++) {
        NUMBER(messages.row[i].sequence, i + 1);
        NUMBER(messages.row[i].size, strlen("Subject: number N\r\n\r\n\r\n") + i + 1);
        NUMBER(messages.row[i].flags.recent, 1);
        NUMBER(messages.row[i].flags.keywords, 0);
        CHECK(labs(seconds_of(messages.row[i].internal_date) - (long)time(0)) < 100);
    }
    select_with(c, "rows", 7);
    list_messages(c, IMAPCONNECT_BY_SEQUENCE, 0, 0);
    NUMBER(messages.row[6].flags.recent, 0);
    GIVES(IMAPCONNECT_E_NO_LIST, list_messages(S, IMAPCONNECT_BY_SEQUENCE, 0, 0, 0, 0, L));
}

static void range(struct client *c, int line, const imapconnect_message *wanted, int by, uint32_t first,
                  uint32_t last)
{
    size_t i;
    list_messages(c, by, first, last);
    for (i = 0; i < messages.count && wanted[i].uid != 0; i++) {
        check_number(line, "the sequence number of a row", messages.row[i].sequence, wanted[i].sequence);
        check_number(line, "the UID of a row", messages.row[i].uid, wanted[i].uid);
    }
    if (i != messages.count || wanted[i].uid != 0)
        fails(line, "too many or too few rows");
}

#define ROW(sequence, uid)     \
    {                          \
        sequence, uid, 0, {0}, \
        {                      \
            0                  \
        }                      \
    }

static void lists_ranges(struct client *c)
{
    static const char *const flags[] = {"", "T", "", "T", "", ""};
    /* The UIDs 1, 3, 5, 6 are left. */
    static const imapconnect_message rows[] = {ROW(1, 1), ROW(2, 3), ROW(3, 5), ROW(4, 6), ROW(0, 0)};
    static const imapconnect_message middle[] = {ROW(2, 3), ROW(3, 5), ROW(0, 0)};
    static const imapconnect_message second[] = {ROW(2, 3), ROW(0, 0)};
    fill(c, "ranges", flags, COUNT(flags));
    select_with(c, "ranges", 6);
    DO(expunge_messages(S, L));
    range(c, __LINE__, rows, IMAPCONNECT_BY_SEQUENCE, 0, 0);
    range(c, __LINE__, rows, IMAPCONNECT_BY_UID, 0, 0);
    range(c, __LINE__, rows, IMAPCONNECT_BY_SEQUENCE, 1, 4);
    range(c, __LINE__, rows, IMAPCONNECT_BY_UID, 1, 0);
    range(c, __LINE__, middle, IMAPCONNECT_BY_SEQUENCE, 2, 3);
    range(c, __LINE__, middle, IMAPCONNECT_BY_UID, 2, 5);
    range(c, __LINE__, second, IMAPCONNECT_BY_SEQUENCE, 2, 2);
    range(c, __LINE__, second, IMAPCONNECT_BY_UID, 3, 3);
    range(c, __LINE__, rows + 1, IMAPCONNECT_BY_SEQUENCE, 2, 0);
    range(c, __LINE__, rows + 1, IMAPCONNECT_BY_UID, 2, 0);
    /* Up to a number that is too large for the mailbox. */
    range(c, __LINE__, rows + 1, IMAPCONNECT_BY_SEQUENCE, 2, 100);
    range(c, __LINE__, rows + 1, IMAPCONNECT_BY_UID, 2, 4000000000u);
    /* From behind the end on: in "100:*" the star is the last message, and a server sends that one. */
    range(c, __LINE__, rows + 4, IMAPCONNECT_BY_UID, 100, 0);
    range(c, __LINE__, rows + 4, IMAPCONNECT_BY_UID, 7, 0);
    range(c, __LINE__, rows + 4, IMAPCONNECT_BY_UID, 4, 4);
    forget_sent(c);
    range(c, __LINE__, rows + 4, IMAPCONNECT_BY_SEQUENCE, 5, 0);
    TEXT(commands(c), "NOOP");
}

static void collects(struct client *c)
{
    static const char *const flags[] = {"", "F", "S"};
    imapconnect_message rows[2];
    imapconnect_messages two = {rows, 2, 0};
    imapconnect_mailbox boxes[4];
    char text[12];
    imapconnect_mailboxes names = {boxes, 4, 0, text, sizeof text, 0};
    fill(c, "collect", flags, COUNT(flags));
    select_with(c, "collect", 3);
    DO(list_messages(S, IMAPCONNECT_BY_UID, 0, 0, imapconnect_collect_message, &two, L));
    NUMBER(two.count, 3);
    NUMBER(rows[1].uid, 2);
    NUMBER(rows[1].flags.flagged, 1);
    DO(list_mailboxes(S, "", "collect", imapconnect_collect_mailbox, &names, L));
    NUMBER(names.count, 1);
    TEXT(names.rows[0].name, "collect");
    NUMBER(names.text_used, 8);
    DO(create_mailbox(S, "collect/more", L));
    names.count = names.text_used = 0;
    DO(list_mailboxes(S, "", "collect*", imapconnect_collect_mailbox, &names, L));
    NUMBER(names.count, 2);
    CHECK(names.text_used > names.text_size);
    CHECK(boxes[0].name == 0 || boxes[1].name == 0);
}

/* A list that is too small for the responses keeps the first of them, and nothing else is lost. */
static void fills_a_small_list(struct client *c)
{
    static const char *const flags[] = {"", "F", "S"};
    char text[40];
    imapconnect_list small;
    imapconnect_list_init(&small, text, sizeof text);
    fill(c, "small", flags, COUNT(flags));
    select_with(c, "small", 3);
    memset(&messages, 0, sizeof messages);
    DO(list_messages(S, IMAPCONNECT_BY_UID, 0, 0, into_messages, &messages, &small));
    NUMBER(messages.count, 3);
    CHECK(small.truncated && small.used <= sizeof text);
    received.used = 0;
    DO(recv_message(S, 3, into_bytes, &received, 0));
    CHECK(received_is("Subject: number 3\r\n\r\nbod\r\n", 26));
}

/* QRESYNC makes the server say VANISHED for EXPUNGE (RFC 7162 section 3.2.10): refused, or understood. */
static void survives_qresync(struct client *c)
{
    static const char *const flags[] = {"T", "T"};
    int status;
    DO(select_mailbox(S, "INBOX", 0, L));
    status = finish(c, imapconnect_enable(S, "QRESYNC", L));
    CHECK(status == 0 || status == IMAPCONNECT_E_VALUE);
    fill(c, "qresync", flags, COUNT(flags));
    select_with(c, "qresync", 2);
    DO(expunge_messages(S, L));
    TEXT(contents(c), "");
    store(c, "qresync", "Subject: x\r\n\r\nx\r\n", "");
    TEXT(contents(c), "3");
    list_messages(c, IMAPCONNECT_BY_SEQUENCE, 2, 0);
    NUMBER(messages.count, 0);
    close_session(c);
    CHECK(open_session(c));
}

/* News of another session's arrives in between, and disturbs nothing. */
static void hears_of_others(struct client *c)
{
    static const char *const flags[] = {"", ""};
    static struct client other;
    fill(c, "others", flags, COUNT(flags));
    select_with(c, "others", 2);
    prepare(&other, c->user, IMAPCONNECT_INSECURE, 0);
    CHECK(open_session(&other));
    store(&other, "others", "Subject: third\r\n\r\nthree\r\n", "");
    DO(noop(S, L));
    CHECK(listed(c, "* 3 EXISTS"));
    finish(&other, imapconnect_select_mailbox(&other.imap, "others", 0, 0));
    finish(&other, imapconnect_set_message_flags(&other.imap, 1, 0, 1, 0, 0, 0, 0));
    finish(&other, imapconnect_set_message_flags(&other.imap, 2, 0, 0, 0, 1, 0, 0));
    finish(&other, imapconnect_expunge_messages(&other.imap, 0));
    store(&other, "others", "Subject: fourth\r\n\r\nfour\r\n", "");
    TEXT(contents(c), "2:F 3 4");
    receive(c, 4, "TEXT", 0, 0);
    CHECK(received_is("four\r\n", 6));
    close_session(&other);
}

/* It is gone, and this session has not heard of it. */
static void receives_what_is_gone(struct client *c)
{
    static const char *const flags[] = {"", "T", ""};
    static struct client other;
    fill(c, "gone", flags, COUNT(flags));
    select_with(c, "gone", 3);
    prepare(&other, c->user, IMAPCONNECT_INSECURE, 0);
    CHECK(open_session(&other));
    finish(&other, imapconnect_select_mailbox(&other.imap, "gone", 0, 0));
    NUMBER(finish(&other, imapconnect_expunge_messages(&other.imap, 0)), 0);
    close_session(&other);
    received.used = received.calls = 0;
    GIVES(IMAPCONNECT_E_NO_MESSAGE, recv_message(S, 2, into_bytes, &received, L));
    NUMBER(received.calls, 0);
    goes_on(c, __LINE__);
    TEXT(contents(c), "1 3");
}

/* ---- group: names ---- */

/* What is hard: quoted specials, wildcards, the shift of modified UTF-7, several planes, what looks like IMAP. */
static const char *const hard_names[] = {
    "say \"hi\"",
    "\"",
    "back\\slash",
    "\\",
    "100%",
    "st*r",
    "salt & pepper",
    "a&-b",
    "&",
    "&&",
    "Entwürfe",
    "日本語",
    "台北 und Zürich & mehr",
    "📬",
    "A😀B😀",
    "two words",
    " leading",
    "trailing ",
    "(parens)",
    "{5}",
    "{5+}",
    "[box]",
    "NIL",
    "#news",
    "x~y",
    "a.b",
    "a,b/c,d",
    "e\xcc\x81",
    "ÿ",
    "\xef\xbf\xbf",
    "up/日本/📬/\"down\"",
    "tilde`^$!;'<>|?=@_-",
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
    "nnnnnn"
    "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"
    "nnnnnn",
    "üüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüüü",
};

/* With one name everything that takes a name. */
static void uses_name(struct client *c, const char *name)
{
    char other[600];
    imapconnect_status status;
    snprintf(other, sizeof other, "%.*s+", (int)strlen(name), name);
    if (!DO(create_mailbox(S, name, L)))
        return;
    list_mailboxes(c, "", "*");
    CHECK(has_row(name));
    NUMBER(row_of(name)->raw, 0);
    NUMBER(row_of(name)->no_select, 0);
    NUMBER(store(c, name, "Subject: x\r\n\r\n", "F"), 1);
    select_with(c, name, 1);
    DO(copy_message(S, 1, name, L));
    DO(mailbox_status(S, name, &status, L));
    NUMBER(status.messages, 2);
    DO(examine_mailbox(S, name, 0, L));
    DO(unselect_mailbox(S, L));
    DO(subscribe_mailbox(S, name, L));
    list_subscribed(c, "", "*");
    CHECK(has_row(name));
    DO(unsubscribe_mailbox(S, name, L));
    list_subscribed(c, "", "*");
    CHECK(!has_row(name));
    DO(rename_mailbox(S, name, other, L));
    list_mailboxes(c, "", "*");
    CHECK(has_row(other) && !has_row(name));
    DO(delete_mailbox(S, other, L));
    list_mailboxes(c, "", "*");
    CHECK(!has_row(other));
}

/* Each is a check of its own. */
static void use_names(struct client *c)
{
    size_t i;
    for (i = 0; i < COUNT(hard_names); i++) {
        char name[60];
        snprintf(name, sizeof name, "mailbox name %lu", (unsigned long)i + 1);
        begin(name);
        uses_name(c, hard_names[i]);
        goes_on(c, __LINE__);
        end();
    }
}

/* A name as LIST gave it, behind 0xFF, goes out unchanged. */
static void uses_raw_names(struct client *c)
{
    DO(create_mailbox(S, "rau & wüst", L));
    select_with(c, "\xffrau &- w&APw-st", 0);
    DO(mailbox_status(S, "\xffrau &- w&APw-st", 0, L));
    CHECK(listed(c, "* STATUS \"rau &- w&APw-st\" ("));
    GIVES(IMAPCONNECT_E_SELECT, select_mailbox(S, "\xff&not base64", 0, L));
    goes_on(c, __LINE__);
    DO(delete_mailbox(S, "\xffrau &- w&APw-st", L));
    list_mailboxes(c, "", "rau*");
    NUMBER(mailboxes.count, 0);
}

static void refuses_bad_names(struct client *c)
{
    static const char *const bad[] = {
        "a\rb", "a\nb", "\r\n", "caf\xe9", "\xc0\xaf", "\xed\xa0\x80", "x\xf4\x90\x80\x80", "\xffraw\n", "\xc3"};
    size_t i;
    forget_sent(c);
    for (i = 0; i < COUNT(bad); i++) {
        GIVES(IMAPCONNECT_E_VALUE, create_mailbox(S, bad[i], L));
        GIVES(IMAPCONNECT_E_VALUE, select_mailbox(S, bad[i], 0, L));
        GIVES(IMAPCONNECT_E_VALUE, rename_mailbox(S, "x", bad[i], L));
        GIVES(IMAPCONNECT_E_VALUE, list_mailboxes(S, "", bad[i], into_mailboxes, &mailboxes, L));
    }
    TEXT(commands(c), "");
    goes_on(c, __LINE__);
}

/* The bytes of a file. */
static int as_in_file(void *context, const void *bytes, size_t count)
{
    static char expected[65536];
    FILE *file = (FILE *)context;
    return count > sizeof expected || fread(expected, 1, count, file) != count || memcmp(expected, bytes, count) != 0;
}

/* A message of five megabytes, of all bytes but NUL, with what looks like IMAP in it. */
static void receives_the_big_one(struct client *c)
{
    FILE *file = fopen(from_environment("BIG_FILE"), "rb");
    uint32_t number = (uint32_t)atoi(from_environment("BIG_NUMBER"));
    list_messages(c, IMAPCONNECT_BY_SEQUENCE, number, number);
    NUMBER(messages.row[0].sequence, number);
    NUMBER(messages.row[0].size, atol(from_environment("BIG_SIZE")));
    if (file == 0)
        fails(__LINE__, "no BIG_FILE");
    else if (DO(recv_message(S, messages.row[0].uid, as_in_file, file, L)))
        CHECK(fgetc(file) == EOF);
    if (file != 0)
        fclose(file);
}

/* The user whom the others share has names in modified UTF-7 on the disk, and "." between their levels. */
static void reads_what_others_wrote(struct client *mine)
{
    static struct client another;
    struct client *c = &another;
    prepare(c, from_environment("USER"), mine->secure, mine->stepping);
    CHECK(open_session(c));
    list_mailboxes(c, "", "");
    NUMBER(row_of("")->separator, '.');
    list_mailboxes(c, "", "*");
    NUMBER(row_of("Entwürfe")->separator, '.');
    CHECK(has_row("with \"quote\""));
    list_subscribed(c, "", "*");
    CHECK(has_row("INBOX") && has_row("Entwürfe") && has_row("with \"quote\""));
    DO(examine_mailbox(S, "Entwürfe", 0, L));
    DO(examine_mailbox(S, "INBOX", 0, L));
    list_messages(c, IMAPCONNECT_BY_SEQUENCE, 1, 2);
    NUMBER(seconds_of(messages.row[0].internal_date), 1699866847); /* 2023-11-13 09:14:07 UTC */
    TEXT(letters(&messages.row[0].flags), "S");
    TEXT(letters(&messages.row[1].flags), "FS");
    receives_the_big_one(c);
    close_session(c);
}

/* ---- group: errors ---- */

/* The answer was this, and the session goes on. */
static void was(struct client *c, int line, const char *answer)
{
    check_text(line, "the answer", imapconnect_answer(&c->imap), answer);
    goes_on(c, line);
}

#define REFUSED(code, call)                          \
    do {                                             \
        GIVES(code, call);                           \
        was(c, __LINE__, "NO");                      \
        CHECK(imapconnect_code_is_fatal(code) == 0); \
    } while (0)
#define BAD(code, call)          \
    do {                         \
        GIVES(code, call);       \
        was(c, __LINE__, "BAD"); \
    } while (0)

static void refused_mailboxes(struct client *c)
{
    imapconnect_selection selection, untouched;
    imapconnect_status status;
    memset(&selection, 99, sizeof selection);
    memset(&untouched, 99, sizeof untouched);
    memset(&status, 99, sizeof status);
    DO(create_mailbox(S, "there", L));
    select_with(c, "there", 0);
    REFUSED(IMAPCONNECT_E_SELECT, select_mailbox(S, "missing", &selection, L));
    BAD(IMAPCONNECT_E_CHECK, check(S, L)); /* none is open */
    REFUSED(IMAPCONNECT_E_SELECT, examine_mailbox(S, "missing", &selection, L));
    DO(create_mailbox(S, "hollow/full", L));
    REFUSED(IMAPCONNECT_E_SELECT, select_mailbox(S, "hollow", &selection, L)); /* \Noselect */
    REFUSED(IMAPCONNECT_E_NO, mailbox_status(S, "missing", &status, L));
    CHECK(memcmp(&selection, &untouched, sizeof selection) == 0 && status.messages == selection.messages);
    REFUSED(IMAPCONNECT_E_SUBSCRIBE, subscribe_mailbox(S, "missing", L));
    REFUSED(IMAPCONNECT_E_UNSUBSCRIBE, unsubscribe_mailbox(S, "\xff&not base64", L));
    REFUSED(IMAPCONNECT_E_CREATE, create_mailbox(S, "there", L));
    GIVES(IMAPCONNECT_E_CREATE, create_mailbox(S, "there", L));
    TEXT(imapconnect_response_code(S), "ALREADYEXISTS");
    CHECK(imapconnect_server_text(S)[0] != 0);
    REFUSED(IMAPCONNECT_E_DELETE, delete_mailbox(S, "missing", L));
    REFUSED(IMAPCONNECT_E_DELETE, delete_mailbox(S, "INBOX", L));
    REFUSED(IMAPCONNECT_E_RENAME, rename_mailbox(S, "missing", "other", L));
    REFUSED(IMAPCONNECT_E_RENAME, rename_mailbox(S, "there", "INBOX", L));
    select_with(c, "there", 0);
}

static void refused_messages(struct client *c)
{
    static const char *const flags[] = {"F"};
    struct draft draft = draft_of("x", 1);
    imapconnect_part nonsense = {"NONSENSE", 0, 0, 0};
    fill(c, "refused", flags, 1);
    select_with(c, "refused", 1);
    REFUSED(IMAPCONNECT_E_COPY, copy_message(S, 1, "missing", L));
    REFUSED(IMAPCONNECT_E_COPY, move_message(S, 1, "missing", L));
    GIVES(IMAPCONNECT_E_NO, append(S, "missing", 0, 0, 1, from_draft, &draft, L));
    TEXT(imapconnect_response_code(S), "TRYCREATE");
    goes_on(c, __LINE__);
    /* Without LITERAL+ the source is not asked: the server says NO instead of "+" or after it. */
    CHECK(!has_literal_plus || draft.given == 1);
    BAD(IMAPCONNECT_E_RECEIVE, recv_part(S, 1, &nonsense, into_bytes, &received, L));
    BAD(IMAPCONNECT_E_BAD, command(S, "NONSENSE", L));
    REFUSED(IMAPCONNECT_E_NO, command(S, "STATUS missing (MESSAGES)", L));
    GIVES(IMAPCONNECT_E_NO_MESSAGE, recv_message(S, 2, into_bytes, &received, L));
    goes_on(c, __LINE__);
    TEXT(contents(c), "1:F");
}

static void without_a_mailbox(struct client *c)
{
    BAD(IMAPCONNECT_E_CHECK, check(S, L));
    BAD(IMAPCONNECT_E_STORE, set_message_flags(S, 1, 1, 0, 0, 0, 0, L));
    BAD(IMAPCONNECT_E_STORE, set_message_flags(S, 1, 1, -1, 0, 0, 0, L));
    BAD(IMAPCONNECT_E_EXPUNGE, expunge_messages(S, L));
    BAD(IMAPCONNECT_E_COPY, copy_message(S, 1, "INBOX", L));
    BAD(IMAPCONNECT_E_COPY, move_message(S, 1, "INBOX", L));
    BAD(IMAPCONNECT_E_RECEIVE, recv_headers(S, 1, into_bytes, &received, L));
    BAD(IMAPCONNECT_E_RECEIVE, recv_message(S, 1, into_bytes, &received, L));
    BAD(IMAPCONNECT_E_FETCH_REPLY, list_messages(S, IMAPCONNECT_BY_UID, 1, 1, into_messages, &messages, L));
    BAD(IMAPCONNECT_E_BAD, search(S, "ALL", 0, 0, into_found, &found, L));
    BAD(IMAPCONNECT_E_BAD, close_mailbox(S, L));
    BAD(IMAPCONNECT_E_BAD, unselect_mailbox(S, L));
}

/* LSUB is refused when the file with the subscriptions cannot be read. */
static void refused_list(struct client *c)
{
    char path[400];
    snprintf(path, sizeof path, "%s/own/%s/subscriptions", from_environment("STATE"), user);
    DO(subscribe_mailbox(S, "INBOX", L));
    memset(&mailboxes, 0, sizeof mailboxes);
    NUMBER(chmod(path, 0), 0);
    REFUSED(IMAPCONNECT_E_LIST, list_subscribed_mailboxes(S, "", "*", into_mailboxes, &mailboxes, L));
    NUMBER(mailboxes.count, 0);
    NUMBER(chmod(path, 0600), 0);
    list_subscribed(c, "", "*");
    CHECK(has_row("INBOX"));
    DO(unsubscribe_mailbox(S, "INBOX", L));
}

static void bad_parameters(struct client *c)
{
    char longest[1026];
    struct draft draft = draft_of("x", 1);
    memset(longest, 'n', 1025);
    longest[1025] = 0;
    DO(select_mailbox(S, "INBOX", 0, L));
    forget_sent(c);
    GIVES(IMAPCONNECT_E_PARAMETER, select_mailbox(S, 0, 0, L));
    GIVES(IMAPCONNECT_E_PARAMETER, rename_mailbox(S, "x", 0, L));
    GIVES(IMAPCONNECT_E_PARAMETER, recv_message(S, 1, 0, 0, L));
    GIVES(IMAPCONNECT_E_PARAMETER, append(S, "INBOX", 0, 0, 1, 0, 0, L));
    GIVES(IMAPCONNECT_E_NO_LIST, list_mailboxes(S, "", "*", 0, 0, L));
    GIVES(IMAPCONNECT_E_NO_LIST, list_subscribed_mailboxes(S, "", "*", 0, 0, L));
    GIVES(IMAPCONNECT_E_NO_LIST, list_namespaces(S, 0, 0, L));
    GIVES(IMAPCONNECT_E_NO_LIST, list_messages(S, IMAPCONNECT_BY_UID, 0, 0, 0, 0, L));
    GIVES(IMAPCONNECT_E_NO_LIST, search(S, "ALL", 0, 0, 0, 0, L));
    GIVES(IMAPCONNECT_E_VALUE, recv_message(S, 0, into_bytes, &received, L));
    GIVES(IMAPCONNECT_E_VALUE, set_message_flags(S, 0, 1, 0, 0, 0, 0, L));
    GIVES(IMAPCONNECT_E_VALUE, set_message_flags(S, 1, 2, 0, 0, 0, 0, L));
    GIVES(IMAPCONNECT_E_VALUE, copy_message(S, 0, "INBOX", L));
    GIVES(IMAPCONNECT_E_VALUE, move_message(S, 0, "INBOX", L));
    GIVES(IMAPCONNECT_E_VALUE, list_messages(S, 7, 0, 0, into_messages, &messages, L));
    GIVES(IMAPCONNECT_E_VALUE, search(S, "SUBJECT", "a\nb", 0, into_found, &found, L));
    GIVES(IMAPCONNECT_E_VALUE, search(S, "SUBJECT {5}", 0, 0, into_found, &found, L));
    GIVES(IMAPCONNECT_E_VALUE, search(S, "ALL\r\na1 LOGOUT", 0, 0, into_found, &found, L));
    GIVES(IMAPCONNECT_E_VALUE, append(S, "INBOX", 0, "17-Jul-1996\r\n", 1, from_draft, &draft, L));
    GIVES(IMAPCONNECT_E_VALUE, id(S, "a\rb", 0, L));
    GIVES(IMAPCONNECT_E_TOO_LONG, id(S, longest, 0, L));
    GIVES(IMAPCONNECT_E_VALUE, command(S, "", L));
    GIVES(IMAPCONNECT_E_USE_FUNCTION, command(S, "IDLE", L));
    GIVES(IMAPCONNECT_E_LITERAL, command(S, "APPEND INBOX {5}", L));
    TEXT(c->sent, "");
    goes_on(c, __LINE__);
}

/* A second call while one is in progress disturbs nothing, and outputs are written at the end. */
static void busy_or_open(struct client *c)
{
    imapconnect_selection selection, untouched;
    int status;
    memset(&selection, 99, sizeof selection);
    memset(&untouched, 99, sizeof untouched);
    NUMBER(imapconnect(S, "127.0.0.1", "x", "x", 0, L, c->secure, IMAPCONNECT_VERIFY), IMAPCONNECT_E_OPEN);
    status = imapconnect_select_mailbox(S, "INBOX", &selection, L);
    if (c->stepping) {
        NUMBER(status, IMAPCONNECT_PENDING);
        NUMBER(imapconnect_noop(S, 0), IMAPCONNECT_E_BUSY);
        NUMBER(imapconnect_select_mailbox(S, "other", &selection, L), IMAPCONNECT_E_BUSY);
        NUMBER(imapconnect_idle(S, 1, 0, 0, 0), IMAPCONNECT_E_BUSY);
        CHECK(memcmp(&selection, &untouched, sizeof selection) == 0);
    }
    NUMBER(finish(c, status), 0);
    list_is_good(c, __LINE__);
    NUMBER(selection.read_only, 0);
    if (c->stepping) {
        NUMBER(imapconnect_idle(S, 60000, 0, 0, L), IMAPCONNECT_PENDING);
        NUMBER(imapconnect_step(S), IMAPCONNECT_PENDING);
        NUMBER(imapconnect_noop(S, 0), IMAPCONNECT_E_BUSY);
        imapconnect_close(S); /* at any time */
        NUMBER(imapconnect_noop(S, 0), IMAPCONNECT_E_NOT_OPEN);
    }
}

/* ---- errors that end the session: each check has one of its own ---- */

/* The session has ended with this code, keeps it, and sends nothing more. */
static void is_over(struct client *c, int line, int code)
{
    forget_sent(c);
    if (imapconnect_is_open(&c->imap) || !imapconnect_code_is_fatal(code))
        fails(line, "the session is not over");
    expect(line, c, "NOOP afterwards", imapconnect_noop(&c->imap, L), code);
    expect(line, c, "SELECT afterwards", imapconnect_select_mailbox(&c->imap, "INBOX", 0, L), code);
    expect(line, c, "the disconnect", imapconnect_disconnect(&c->imap, 0), code);
    check_text(line, "what was sent", c->sent, "");
    imapconnect_close(&c->imap);
    CHECK(open_session(c));
}

static int stops(void *context, const void *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return 1;
}

static int gives_nothing(void *context, void *bytes, size_t count)
{
    (void)bytes;
    (void)count;
    return *(const int *)context;
}

static int stops_at_mailbox(void *context, const imapconnect_mailbox *row)
{
    (void)context;
    (void)row;
    return 1;
}

static int stops_at_message(void *context, const imapconnect_message *row)
{
    (void)context;
    (void)row;
    return -1;
}

static int stops_at_uid(void *context, uint32_t uid)
{
    (void)context;
    (void)uid;
    return 1;
}

static void cancelled(struct client *c)
{
    static const char *const flags[] = {"", ""};
    static const int wrong[] = {0, -1, 1000000};
    size_t i;
    fill(c, "cancel", flags, COUNT(flags));
    select_with(c, "cancel", 2);
    GIVES(IMAPCONNECT_E_CANCELLED, recv_message(S, 1, stops, 0, L));
    is_over(c, __LINE__, IMAPCONNECT_E_CANCELLED);
    GIVES(IMAPCONNECT_E_CANCELLED, list_mailboxes(S, "", "*", stops_at_mailbox, 0, L));
    is_over(c, __LINE__, IMAPCONNECT_E_CANCELLED);
    select_with(c, "cancel", 2);
    GIVES(IMAPCONNECT_E_CANCELLED, list_messages(S, IMAPCONNECT_BY_UID, 0, 0, stops_at_message, 0, L));
    is_over(c, __LINE__, IMAPCONNECT_E_CANCELLED);
    select_with(c, "cancel", 2);
    GIVES(IMAPCONNECT_E_CANCELLED, search(S, "ALL", 0, 0, stops_at_uid, 0, L));
    is_over(c, __LINE__, IMAPCONNECT_E_CANCELLED);
    for (i = 0; i < COUNT(wrong); i++) {
        int number = wrong[i];
        GIVES(IMAPCONNECT_E_CANCELLED, append(S, "cancel", 0, 0, 10, gives_nothing, &number, L));
        is_over(c, __LINE__, IMAPCONNECT_E_CANCELLED);
    }
    select_with(c, "cancel", 2);
}

/* Dovecot says BYE when the open mailbox is deleted. */
static void bye(struct client *c)
{
    static struct client other;
    DO(create_mailbox(S, "doomed", L));
    store(c, "doomed", "Subject: x\r\n\r\n", "");
    select_with(c, "doomed", 1);
    prepare(&other, c->user, IMAPCONNECT_INSECURE, 0);
    CHECK(open_session(&other));
    NUMBER(finish(&other, imapconnect_delete_mailbox(&other.imap, "doomed", 0)), 0);
    close_session(&other);
    GIVES(IMAPCONNECT_E_BYE, list_messages(S, IMAPCONNECT_BY_SEQUENCE, 0, 0, into_messages, &messages, L));
    TEXT(imapconnect_answer(S), "BYE");
    is_over(c, __LINE__, IMAPCONNECT_E_BYE);
}

/* A name of more than about 400 bytes. */
static void name_too_long(struct client *c)
{
    char name[1000];
    size_t i, used = 0;
    for (i = 0; i < 6; i++)
        used += (size_t)snprintf(name + used, sizeof name - used, "%s%0100d", i == 0 ? "long" : "/", (int)i);
    DO(create_mailbox(S, name, L));
    select_with(c, name, 0);
    GIVES(IMAPCONNECT_E_FIELD_LENGTH, list_mailboxes(S, "", "long*", into_mailboxes, &mailboxes, L));
    is_over(c, __LINE__, IMAPCONNECT_E_FIELD_LENGTH);
    DO(delete_mailbox(S, name, L));
}

static void too_much(struct client *c)
{
    static char octets[100000];
    struct draft draft = draft_of(octets, make_octets(octets, sizeof octets));
    DO(create_mailbox(S, "much", L));
    DO(append(S, "much", 0, 0, (uint32_t)draft.size, from_draft, &draft, L));
    close_session(c);
    c->config.max_reply = 50000;
    CHECK(open_session(c));
    c->config.max_reply = 0;
    select_with(c, "much", 1);
    received.used = 0;
    GIVES(IMAPCONNECT_E_LIMIT, recv_message(S, 1, into_bytes, &received, L));
    CHECK(received.used < 51000);
    is_over(c, __LINE__, IMAPCONNECT_E_LIMIT);
}

/* ---- a second process, which does something while this one waits ---- */

#define STORES   'a' /* APPEND to `mailbox` */
#define FLAGS    'f' /* flags message 1 */
#define EXPUNGES 'x' /* removes message 1 */
#define FREEZES  'z' /* stops the process `target` */
#define KILLS    'k'

struct deed {
    uint32_t after; /* ms since the one before */
    int what;
};

struct doer {
    pid_t pid, target;
    int pipe;
    const char *mailbox;
    const struct deed *deeds;
    size_t count;
};

/* It selects the mailbox no sooner than it must, since that takes \Recent away from the one that waits. */
static void do_one(struct client *c, const struct doer *doer, int what)
{
    if (what == FLAGS || what == EXPUNGES)
        DO(select_mailbox(S, doer->mailbox, 0, L));
    switch (what) {
    case STORES:
        store(c, doer->mailbox, "Subject: news\r\n\r\nnews\r\n", "");
        break;
    case FLAGS:
        DO(set_message_flags(S, 1, 0, 0, 0, 1, 0, L));
        break;
    case EXPUNGES:
        DO(set_message_flags(S, 1, 0, 1, 0, 0, 0, L));
        DO(expunge_messages(S, L));
        break;
    case FREEZES:
        kill(doer->target, SIGSTOP);
        break;
    default:
        kill(doer->target, SIGKILL);
        break;
    }
}

static void do_all(const struct doer *doer, const char *who, int to)
{
    static struct client doing;
    struct client *c = &doing;
    uint32_t time = 0;
    size_t i;
    alarm(30);
    why[0] = 0;
    prepare(c, who, IMAPCONNECT_INSECURE, 0);
    if (doer->mailbox != 0)
        open_session(c);
    if (write(to, &time, sizeof time) < 0) /* ready */
        _exit(1);
    for (i = 0; i < doer->count; i++) {
        pause_for(doer->deeds[i].after);
        do_one(c, doer, doer->deeds[i].what);
        time = why[0] == 0 ? now() : 0;
        if (write(to, &time, sizeof time) < 0)
            break;
    }
    if (why[0] != 0)
        fprintf(stderr, "the other process: %s\n", why);
    if (doer->mailbox != 0)
        close_session(c);
    _exit(0);
}

/* Starts it; it is logged in when this returns. `mailbox` 0: it needs no server. */
static void start_doer(struct doer *doer, const char *mailbox, const struct deed *deeds, size_t count, pid_t target)
{
    int ends[2];
    uint32_t time;
    doer->mailbox = mailbox;
    doer->deeds = deeds;
    doer->count = count;
    doer->target = target;
    if (pipe(ends) != 0)
        exit(2);
    fflush(stdout);
    doer->pid = fork();
    if (doer->pid == 0) {
        close(ends[0]);
        do_all(doer, user, ends[1]);
    }
    close(ends[1]);
    doer->pipe = ends[0];
    if (read(doer->pipe, &time, sizeof time) != sizeof time)
        fails(__LINE__, "the other process did not start");
}

/* When it had done the next of its deeds; 0 when it has not. */
static uint32_t done_at(const struct doer *doer)
{
    uint32_t time = 0;
    if (read(doer->pipe, &time, sizeof time) != sizeof time || time == 0)
        fails(__LINE__, "the other process has failed");
    return time;
}

static void end_doer(struct doer *doer)
{
    close(doer->pipe);
    waitpid(doer->pid, 0, 0);
}

/* ---- group: idle ---- */

struct news {
    int what;
    uint32_t number;
    uint32_t at;
};

static struct heard {
    struct news news[50];
    size_t count;
    int last; /* with this kind of news the wait ends */
} heard;

static int on_news(void *context, int what, uint32_t number)
{
    struct heard *to = (struct heard *)context;
    if (to->count < COUNT(to->news)) {
        to->news[to->count].what = what;
        to->news[to->count].number = number;
        to->news[to->count++].at = now();
    }
    return what == to->last;
}

/* When this was heard; 0 when it was not. */
static uint32_t heard_at(int what, uint32_t number)
{
    size_t i;
    for (i = 0; i < heard.count; i++)
        if (heard.news[i].what == what && heard.news[i].number == number)
            return heard.news[i].at;
    return 0;
}

/* Dovecot itself waits for half a second before it tells. */
static void heard_within_a_second(int line, int what, uint32_t number, uint32_t done)
{
    uint32_t at = heard_at(what, number);
    if (at == 0)
        fails(line, "this news was not heard");
    else if (at + 5 < done || at - done > 1000 + (has_idle ? 0 : 300))
        check_number(line, "ms between the deed and the news", at - done, 1000);
}

static void wait_took(int line, uint32_t began, uint32_t least, uint32_t most)
{
    uint32_t took = now() - began;
    if (took + 2 < least || took > most)
        check_number(line, "ms that the wait took", took, most);
}

static int idle(struct client *c, uint32_t milliseconds, int last)
{
    memset(&heard, 0, sizeof heard);
    heard.last = last;
    return finish(c, imapconnect_idle(S, milliseconds, on_news, &heard, L));
}

/* The number of times that a command left. */
static unsigned times_sent(const struct client *c, const char *what)
{
    const char *at = c->sent;
    unsigned count = 0;
    while ((at = strstr(at, what)) != 0) {
        count++;
        at++;
    }
    return count;
}

static void idle_ends_in_time(struct client *c)
{
    uint32_t began;
    DO(create_mailbox(S, "idle", L));
    select_with(c, "idle", 0);
    forget_sent(c);
    began = now();
    NUMBER(idle(c, 700, 0), 0);
    wait_took(__LINE__, began, 700, 1200);
    CHECK(c->steps < 60);
    NUMBER(heard.count, 0);
    if (has_idle)
        TEXT(commands(c), "IDLE DONE");
    else
        CHECK(!was_sent(c, "IDLE") && times_sent(c, " NOOP\n") >= 2 && times_sent(c, " NOOP\n") <= 5);
    began = now();
    NUMBER(idle(c, 0, 0), 0);
    wait_took(__LINE__, began, 0, 300);
    goes_on(c, __LINE__);
}

static void idle_hears_the_news(struct client *c)
{
    static const struct deed deeds[] = {{200, STORES}, {1000, FLAGS}, {1000, EXPUNGES}};
    struct doer doer;
    uint32_t done;
    DO(create_mailbox(S, "idle/news", L));
    store(c, "idle/news", "Subject: first\r\n\r\n", "");
    select_with(c, "idle/news", 1);
    start_doer(&doer, "idle/news", deeds, COUNT(deeds), 0);
    NUMBER(idle(c, 6000, IMAPCONNECT_NEWS_EXPUNGE), 1);
    done = done_at(&doer);
    heard_within_a_second(__LINE__, IMAPCONNECT_NEWS_EXISTS, 2, done);
    heard_within_a_second(__LINE__, IMAPCONNECT_NEWS_RECENT, 2, done);
    done = done_at(&doer);
    heard_within_a_second(__LINE__, IMAPCONNECT_NEWS_FLAGS, 1, done);
    done = done_at(&doer);
    heard_within_a_second(__LINE__, IMAPCONNECT_NEWS_EXPUNGE, 1, done);
    end_doer(&doer);
    list_is_good(c, __LINE__);
    TEXT(contents(c), "2");
}

/* on_news 0: the first news ends it. */
static void idle_ends_with_the_news(struct client *c)
{
    static const struct deed deeds[] = {{200, STORES}};
    struct doer doer;
    uint32_t began;
    DO(create_mailbox(S, "idle/first", L));
    select_with(c, "idle/first", 0);
    start_doer(&doer, "idle/first", deeds, COUNT(deeds), 0);
    began = now();
    GIVES(1, idle(S, 5000, 0, 0, L));
    wait_took(__LINE__, began, 200, 1700);
    CHECK(listed(c, "* 1 EXISTS"));
    end_doer(&doer);
    TEXT(contents(c), "1");
}

/* Renewed after 2 s, and news is heard before and after it. */
static void idle_is_renewed(struct client *c)
{
    static const struct deed deeds[] = {{500, STORES}, {2100, STORES}};
    struct doer doer;
    uint32_t done;
    DO(create_mailbox(S, "idle/renew", L));
    select_with(c, "idle/renew", 0);
    start_doer(&doer, "idle/renew", deeds, COUNT(deeds), 0);
    forget_sent(c);
    NUMBER(idle(c, 3800, 0), 1);
    done = done_at(&doer);
    heard_within_a_second(__LINE__, IMAPCONNECT_NEWS_EXISTS, 1, done);
    done = done_at(&doer);
    heard_within_a_second(__LINE__, IMAPCONNECT_NEWS_EXISTS, 2, done);
    end_doer(&doer);
    if (has_idle)
        TEXT(commands(c), "IDLE DONE IDLE DONE");
    else
        CHECK(!was_sent(c, "IDLE"));
    TEXT(contents(c), "1 2");
}

/* Between two steps, or in the callback of a blocking wait. */
static void nap(struct client *c)
{
    uint32_t milliseconds = c->nap;
    if (milliseconds == 0 || !listed(c, has_idle ? "+ " : " OK "))
        return;
    c->nap = 0;
    pause_for(milliseconds);
}

static void stop_soon(struct client *c)
{
    nap(c);
    if ((int32_t)(now() - c->stop_at) >= 0)
        imapconnect_idle_stop(&c->imap);
}

static int stop_in_callback(void *context)
{
    stop_soon((struct client *)context);
    return 0;
}

/* From between two steps, or from the callback of a blocking wait, which comes at least once a second. */
static void idle_can_be_stopped(struct client *c)
{
    uint32_t began = now();
    DO(select_mailbox(S, "INBOX", 0, L));
    imapconnect_idle_stop(S); /* nothing waits: it does nothing */
    c->stop_at = began + 300;
    c->between = c->stepping ? stop_soon : 0;
    NUMBER(idle(c, 10000, 0), 0);
    c->between = 0;
    c->stop_at = began + 1000000;
    wait_took(__LINE__, began, 300, c->stepping ? 700 : 1700);
    list_is_good(c, __LINE__);
    goes_on(c, __LINE__);
    began = now();
    NUMBER(idle(c, 400, 0), 0);
    wait_took(__LINE__, began, 400, 900);
}

/* A program that comes late, after the end of the wait, while there is news to be read. */
static void idle_is_continued_late(struct client *c)
{
    static const struct deed deeds[] = {{100, STORES}};
    struct doer doer;
    DO(create_mailbox(S, "idle/late", L));
    select_with(c, "idle/late", 0);
    start_doer(&doer, "idle/late", deeds, COUNT(deeds), 0);
    c->nap = 1300;
    c->between = c->stepping ? stop_soon : 0;
    NUMBER(idle(c, 500, 0), 1);
    c->between = 0;
    NUMBER(c->nap, 0);
    c->nap = 0;
    end_doer(&doer);
    if (imapconnect_is_open(S))
        TEXT(contents(c), "1");
}

/* ---- group: link ---- */

struct forwarder {
    pid_t pid;
    int narrow; /* little is on its way at a time, so that the server cannot be far ahead of its client */
    char port[8];
};

/* Before it is connected. A large segment would give the other end a large buffer. */
static void make_narrow(int fd)
{
    int segment = 1000, buffer = 16384;
    setsockopt(fd, IPPROTO_TCP, TCP_MAXSEG, &segment, sizeof segment);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
}

/* Moves what is there; 0 at the end. */
static int move_bytes(int from, int to)
{
    char bytes[4096];
    ssize_t count = read(from, bytes, sizeof bytes), done = 0, once;
    while (done < count) {
        once = write(to, bytes + done, (size_t)(count - done));
        if (once <= 0)
            return 0;
        done += once;
    }
    return count > 0;
}

static struct sockaddr_in on_loopback(int port)
{
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)port);
    return address;
}

static void forward(int listener, int port, int narrow)
{
    struct sockaddr_in address = on_loopback(port);
    struct pollfd items[2];
    alarm(40);
    items[0].fd = accept(listener, 0, 0);
    items[1].fd = socket(AF_INET, SOCK_STREAM, 0);
    if (narrow)
        make_narrow(items[1].fd);
    if (connect(items[1].fd, (struct sockaddr *)&address, sizeof address) != 0)
        _exit(1);
    items[0].events = items[1].events = POLLIN;
    while (poll(items, 2, -1) > 0)
        if ((items[0].revents != 0 && !move_bytes(items[0].fd, items[1].fd)) ||
            (items[1].revents != 0 && !move_bytes(items[1].fd, items[0].fd)))
            break;
    _exit(0);
}

/* A process of ours between client and server, which can be stopped or killed: then the link is dead, or cut. */
static void start_forwarder(struct forwarder *forwarder)
{
    struct sockaddr_in address = on_loopback(0);
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    int port = atoi(from_environment(secure == IMAPCONNECT_TLS ? "IMAPS_PORT" : "IMAP_PORT"));
    if (forwarder->narrow)
        make_narrow(listener);
    if (bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 1) != 0 ||
        getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        exit(2);
    snprintf(forwarder->port, sizeof forwarder->port, "%d", (int)ntohs(address.sin_port));
    fflush(stdout);
    forwarder->pid = fork();
    if (forwarder->pid == 0)
        forward(listener, port, forwarder->narrow);
    close(listener);
}

static void end_forwarder(struct forwarder *forwarder)
{
    kill(forwarder->pid, SIGKILL);
    waitpid(forwarder->pid, 0, 0);
}

/* While the session waits, its link does `what`; returns what the wait does. */
static int idle_while(struct client *c, int what, uint32_t milliseconds)
{
    struct deed deed;
    struct forwarder forwarder = {0, 0, ""};
    struct doer doer;
    int status = 0;
    deed.after = 300;
    deed.what = what;
    c->config.idle_renew = 1000;
    c->config.timeout = 900;
    close_session(c);
    start_forwarder(&forwarder);
    if (open_at(c, forwarder.port) && DO(select_mailbox(S, "INBOX", 0, L))) {
        start_doer(&doer, 0, &deed, 1, forwarder.pid);
        status = idle(c, milliseconds, 0);
        end_doer(&doer);
    }
    end_forwarder(&forwarder);
    return status;
}

/* Ours again, and one that is slow enough for a slow machine. */
static void usual(struct client *c, int code)
{
    c->config.timeout = 20000;
    is_over(c, __LINE__, code);
}

static void idle_finds_a_dead_link(struct client *c)
{
    uint32_t began = now();
    NUMBER(idle_while(c, FREEZES, 60000), IMAPCONNECT_E_TIMEOUT);
    /* Frozen after 300 ms; renewed at 1,000, or NOOP at 600; and then the limit of 900. */
    wait_took(__LINE__, began, 1200, 2900);
    usual(c, IMAPCONNECT_E_TIMEOUT);
}

static void idle_hears_the_end(struct client *c)
{
    uint32_t began = now();
    int status = idle_while(c, KILLS, 60000);
    CHECK(status == IMAPCONNECT_CLOSED || status == IMAPCONNECT_E_RESET || status == IMAPCONNECT_E_TRUNCATED);
    CHECK(status != IMAPCONNECT_E_TRUNCATED || c->secure != IMAPCONNECT_INSECURE);
    wait_took(__LINE__, began, 300, 1500);
    usual(c, status);
}

/* Any command: from its sending on the time limit holds. */
static void a_dead_link_ends_a_command(struct client *c)
{
    struct forwarder forwarder = {0, 0, ""};
    uint32_t began;
    close_session(c);
    c->config.timeout = 700;
    start_forwarder(&forwarder);
    CHECK(open_at(c, forwarder.port));
    DO(select_mailbox(S, "INBOX", 0, L));
    kill(forwarder.pid, SIGSTOP);
    began = now();
    GIVES(IMAPCONNECT_E_TIMEOUT, mailbox_status(S, "INBOX", 0, L));
    wait_took(__LINE__, began, 700, 1200);
    end_forwarder(&forwarder);
    usual(c, IMAPCONNECT_E_TIMEOUT);
}

/* ---- groups: big, many: how much memory, how fast ---- */

static long status_line(const char *name)
{
    char line[200];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");
    while (file != 0 && fgets(line, sizeof line, file) != 0)
        if (strncmp(line, name, strlen(name)) == 0)
            value = atol(line + strlen(name));
    if (file != 0)
        fclose(file);
    return value;
}

static long max_rss(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
}

/* Resident memory in KB, from a mark on. ru_maxrss may still be that of the program that started this one; VmHWM is
   ours alone, and can be brought down to what is resident now. */
static long mark_rss, mark_peak;

static void mark_memory(void)
{
    int file = open("/proc/self/clear_refs", O_WRONLY);
    if (file < 0 || write(file, "5", 1) != 1)
        fails(__LINE__, "clear_refs");
    close(file);
    mark_rss = max_rss();
    mark_peak = status_line("VmHWM:");
}

static long grown(void)
{
    long peak = status_line("VmHWM:") - mark_peak, rss = max_rss() - mark_rss;
    if (mark_peak <= 0)
        fails(__LINE__, "no VmHWM");
    return peak > rss ? peak : rss;
}

#define BIG_HEAD  "Subject: fifty megabytes\r\n\r\n"
#define BIG_LINE  902u
#define BIG_LINES 58127u
#define BIG_SIZE  ((uint32_t)sizeof BIG_HEAD - 1 + BIG_LINES * BIG_LINE)

/* Each line has its number in front, so that nothing can be lost or swapped unseen. */
static char big_byte(uint32_t offset)
{
    static const char head[] = BIG_HEAD;
    uint32_t line, column;
    if (offset < sizeof head - 1)
        return head[offset];
    line = (offset - ((uint32_t)sizeof head - 1)) / BIG_LINE;
    column = (offset - ((uint32_t)sizeof head - 1)) % BIG_LINE;
    if (column < 5)
        return (char)('a' + (line >> 4 * column & 15));
    if (column >= BIG_LINE - 2)
        return column == BIG_LINE - 2 ? '\r' : '\n';
    return (char)(' ' + (line * 31 + column * 7 + column / 97) % 95);
}

static int big_source(void *context, void *bytes, size_t count)
{
    uint32_t *offset = (uint32_t *)context;
    char *to = (char *)bytes;
    size_t i;
    for (i = 0; i < count && *offset < BIG_SIZE; i++)
        to[i] = big_byte((*offset)++);
    return (int)i;
}

static int big_sink(void *context, const void *bytes, size_t count)
{
    uint32_t *offset = (uint32_t *)context;
    const char *from = (const char *)bytes;
    size_t i;
    for (i = 0; i < count; i++, (*offset)++)
        if (*offset >= BIG_SIZE || from[i] != big_byte(*offset))
            return 1;
    return 0;
}

static void figure(const char *what, double size, const char *unit, uint32_t milliseconds)
{
    printf("# %s: %s in %.2f s, %.1f %s/s; %ld KB more resident\n", check_name, what, milliseconds / 1000.0,
           size / (milliseconds == 0 ? 0.001 : milliseconds / 1000.0), unit, grown());
}

static void fifty_megabytes(struct client *c)
{
    uint32_t offset = 0, began;
    DO(create_mailbox(S, "big", L));
    store(c, "big", "Subject: small\r\n\r\nsmall\r\n", "");
    select_with(c, "big", 1);
    receive_whole(c, 1);
    mark_memory();
    began = now();
    DO(append(S, "big", 0, 0, BIG_SIZE, big_source, &offset, L));
    figure("stored", BIG_SIZE / 1e6, "MB", now() - began);
    NUMBER(offset, BIG_SIZE);
    CHECK(grown() < 1024);
    list_messages(c, IMAPCONNECT_BY_UID, 2, 2);
    NUMBER(messages.row[0].size, BIG_SIZE);
    offset = 0;
    mark_memory();
    began = now();
    DO(recv_message(S, 2, big_sink, &offset, L));
    figure("received", BIG_SIZE / 1e6, "MB", now() - began);
    NUMBER(offset, BIG_SIZE);
    CHECK(grown() < 1024);
    DO(delete_mailbox(S, "big", L));
}

#define MANY 10010u /* of which every thousandth is removed first, so that UIDs are not sequence numbers */
#define RACE 4004u

static uint32_t amount = MANY; /* of messages in the mailbox; or RACE */

static const char *many_flags(uint32_t n)
{
    static char text[8];
    snprintf(text, sizeof text, "%s%s%s%s", n % 3 == 0 ? "A" : "", n % 11 == 0 ? "D" : "", n % 7 == 0 ? "F" : "",
             n % 2 == 0 ? "S" : "");
    return text;
}

static uint32_t many_size(uint32_t n)
{
    return (uint32_t)strlen("Subject: number 00000\r\n\r\n\r\n") + n % 97;
}

static long many_date(uint32_t n)
{
    return 1700000000L + (long)n * 61;
}

/* Directly into the folder: Dovecot takes the time in front of the name for the order, and that of the file for the
   internal date; the flags are R S F D. */
static void write_one_of_many(const char *folder, const struct stat *like, uint32_t n)
{
    char path[600], text[200];
    const char *flags = many_flags(n);
    struct timespec times[2];
    int file;
    snprintf(path, sizeof path, "%s/%lu.M%lu.localhost:2,%s%s%s%s", folder, 1700000000ul + n, (unsigned long)n,
             strchr(flags, 'D') ? "D" : "", strchr(flags, 'F') ? "F" : "", strchr(flags, 'A') ? "R" : "",
             strchr(flags, 'S') ? "S" : "");
    snprintf(text, sizeof text, "Subject: number %05lu\n\n%.*s\n", (unsigned long)n, (int)(n % 97),
             "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy");
    file = open(path, O_WRONLY | O_CREAT, 0600);
    times[0].tv_sec = times[1].tv_sec = (time_t)many_date(n);
    times[0].tv_nsec = times[1].tv_nsec = 0;
    if (file < 0 || write(file, text, strlen(text)) < 0 || futimens(file, times) != 0 ||
        (geteuid() == 0 && fchown(file, like->st_uid, like->st_gid) != 0))
        fails(__LINE__, strerror(errno));
    close(file);
}

/* What a listing has told so far. */
struct listing {
    uint32_t count, last_uid, last_sequence, wrong, first_wrong, ghosts;
    int dense;            /* sequence numbers must have no gaps */
    uint8_t *seen;        /* by UID, MANY + 1 of them; may be 0 */
    struct client *other; /* when it is not 0, it removes messages in the midst of it */
};

/* These go while another session lists; the last ones when it has not come so far, but the server perhaps has. */
static void remove_some(struct client *c)
{
    DO(command(S, "UID STORE 1:20,301:399,3801:3999 +FLAGS.SILENT (\\Deleted)", L));
    DO(expunge_messages(S, L));
}

static int is_removed(uint32_t n)
{
    return n <= 20 || (n >= 301 && n <= 399) || (n >= 3801 && n <= 3999);
}

/* For a message that has just gone Dovecot makes up a row, and ends with "OK [EXPUNGEISSUED]". */
static int is_ghost(const imapconnect_message *row)
{
    return is_removed(row->uid) && row->size == 0 && seconds_of(row->internal_date) == 0;
}

static int row_is_right(const struct listing *to, const imapconnect_message *row)
{
    imapconnect_flags flags = row->flags;
    if (to->other != 0)
        flags.deleted = 0; /* the other session's */
    if (row->uid == 0 || row->uid > amount || row->uid <= to->last_uid || row->sequence <= to->last_sequence)
        return 0;
    if (to->dense && row->sequence != to->last_sequence + 1)
        return 0;
    return row->size == many_size(row->uid) && seconds_of(row->internal_date) == many_date(row->uid) &&
           flags.recent == 0 && flags.keywords == 0 && strcmp(letters(&flags), many_flags(row->uid)) == 0;
}

static int check_row(void *context, const imapconnect_message *row)
{
    struct listing *to = (struct listing *)context;
    if (to->other != 0 && is_ghost(row))
        to->ghosts++;
    else if (!row_is_right(to, row) && to->wrong++ == 0)
        to->first_wrong = row->uid;
    to->last_uid = row->uid;
    to->last_sequence = row->sequence;
    if (to->seen != 0 && row->uid <= amount)
        to->seen[row->uid] = 1;
    if (++to->count == 50 && to->other != 0)
        remove_some(to->other);
    return 0;
}

static void many_by(struct client *c, int by)
{
    struct listing listing;
    uint32_t began;
    memset(&listing, 0, sizeof listing);
    listing.dense = 1;
    mark_memory();
    began = now();
    DO(list_messages(S, by, 0, 0, check_row, &listing, L));
    figure(by == IMAPCONNECT_BY_UID ? "10,000 rows by UID" : "10,000 rows by sequence", 10000, "rows", now() - began);
    CHECK(grown() < 256);
    NUMBER(listing.count, 10000);
    NUMBER(listing.wrong, 0);
    NUMBER(listing.first_wrong, 0);
}

static void fill_many(struct client *c, const char *mailbox)
{
    char folder[500];
    struct stat like;
    uint32_t n;
    DO(create_mailbox(S, mailbox, L));
    snprintf(folder, sizeof folder, "%s/own/%s/%s/cur", from_environment("STATE"), user, mailbox);
    NUMBER(stat(folder, &like), 0);
    for (n = 1; n <= amount && why[0] == 0; n++)
        write_one_of_many(folder, &like, n);
    select_with(c, mailbox, amount);
    DO(command(S, "UID STORE 1000,2000,3000,4000,5000,6000,7000,8000,9000,10000 +FLAGS.SILENT (\\Deleted)", L));
    DO(expunge_messages(S, L));
    select_with(c, mailbox, amount - amount / 1000); /* none of them is recent any more */
}

static void ten_thousand(struct client *c)
{
    fill_many(c, "many");
    many_by(c, IMAPCONNECT_BY_SEQUENCE);
    many_by(c, IMAPCONNECT_BY_UID);
    /* Once more: now Dovecot has it all in its cache. */
    many_by(c, IMAPCONNECT_BY_SEQUENCE);
    many_by(c, IMAPCONNECT_BY_UID);
}

/* ---- group: race ---- */

/* How many UIDs the listing should have and does not, or has and should not. */
static uint32_t differs(const uint8_t *seen)
{
    uint32_t n, count = 0;
    for (n = 1; n <= amount; n++)
        count += seen[n] != (n % 1000 != 0 && !is_removed(n));
    return count;
}

/* One session lists while the other removes. All the rows, or an error after which the session goes on; and then the
   next listing is right. Nothing has listed this mailbox before, so that the server looks at each message when its
   row is due, and it cannot be far ahead. */
static void race_by(struct client *c, int by, const char *mailbox)
{
    static struct client other;
    static uint8_t seen[MANY + 1];
    struct listing listing;
    struct forwarder forwarder = {0, 1, ""};
    int status;
    amount = RACE;
    fill_many(c, mailbox);
    close_session(c);
    start_forwarder(&forwarder);
    CHECK(open_at(c, forwarder.port));
    DO(select_mailbox(S, mailbox, 0, L));
    prepare(&other, user, IMAPCONNECT_INSECURE, 0);
    CHECK(open_session(&other));
    finish(&other, imapconnect_select_mailbox(&other.imap, mailbox, 0, 0));
    memset(&listing, 0, sizeof listing);
    listing.other = &other;
    status = finish(c, imapconnect_list_messages(S, by, 0, 0, check_row, &listing, L));
    printf("# %s: %d, %lu of 4,000 rows, %lu of them ghosts\n", check_name, status, (unsigned long)listing.count,
           (unsigned long)listing.ghosts);
    if (status != IMAPCONNECT_E_FETCH_REPLY && status != IMAPCONNECT_E_FETCH_INCOMPLETE)
        NUMBER(status, 0);
    CHECK(status != 0 || listing.count == 4000);
    CHECK(status != 0 || listing.ghosts == 0);
    NUMBER(listing.wrong, 0);
    close_session(&other);
    memset(&listing, 0, sizeof listing);
    listing.dense = 1;
    listing.seen = seen;
    memset(seen, 0, sizeof seen);
    DO(list_messages(S, by, 0, 0, check_row, &listing, L));
    NUMBER(listing.wrong, 0);
    NUMBER(differs(seen), 0);
    goes_on(c, __LINE__);
    close_session(c);
    end_forwarder(&forwarder);
}

static void race_by_sequence(struct client *c)
{
    race_by(c, IMAPCONNECT_BY_SEQUENCE, "race by sequence");
}

static void race_by_uid(struct client *c)
{
    race_by(c, IMAPCONNECT_BY_UID, "race by uid");
}

/* ---- all of them ---- */

struct check {
    const char *group;
    const char *name; /* 0: it reports by itself */
    void (*run)(struct client *);
};

static const struct check all_checks[] = {
    {"commands", "select, examine", selects_and_examines},
    {"commands", "select an empty mailbox", selects_an_empty_one},
    {"commands", "status", tells_the_status},
    {"commands", "list mailboxes", lists_mailboxes},
    {"commands", "the separator", tells_the_separator},
    {"commands", "subscribe, unsubscribe, list subscribed", subscribes},
    {"commands", "create, rename, delete", creates_renames_deletes},
    {"commands", "namespaces", lists_namespaces},
    {"commands", "id", says_who_it_is},
    {"commands", "enable", enables},
    {"commands", "check, noop", checks},
    {"commands", "close, unselect", closes_and_unselects},
    {"commands", "set flags", sets_flags},
    {"commands", "expunge", expunges},
    {"commands", "copy", copies},
    {"commands", "move", moves},
    {"commands", "move out of a read-only mailbox", moves_from_read_only},
    {"commands", "search", searches},
    {"commands", "append", appends},
    {"commands", "append of nothing", appends_nothing},
    {"commands", "receive", receives},
    {"commands", "receive parts", receives_parts},
    {"commands", "receive pieces", receives_pieces},
    {"commands", "list messages", lists_messages},
    {"commands", "list ranges of messages", lists_ranges},
    {"commands", "collectors", collects},
    {"commands", "a small list of responses", fills_a_small_list},
    {"commands", "QRESYNC", survives_qresync},
    {"commands", "news of others", hears_of_others},
    {"commands", "receive what is gone", receives_what_is_gone},
    {"names", 0, use_names},
    {"names", "raw names", uses_raw_names},
    {"names", "names that cannot be sent", refuses_bad_names},
    {"names", "what others wrote", reads_what_others_wrote},
    {"errors", "mailbox commands that are refused", refused_mailboxes},
    {"errors", "message commands that are refused", refused_messages},
    {"errors", "no mailbox is open", without_a_mailbox},
    {"errors", "LSUB is refused", refused_list},
    {"errors", "parameters", bad_parameters},
    {"errors", "busy, open", busy_or_open},
    {"errors", "cancelled", cancelled},
    {"errors", "BYE", bye},
    {"errors", "a name that is too long", name_too_long},
    {"errors", "more than max_reply", too_much},
    {"idle", "ends in time", idle_ends_in_time},
    {"idle", "hears the news", idle_hears_the_news},
    {"idle", "ends with the news", idle_ends_with_the_news},
    {"idle", "is renewed", idle_is_renewed},
    {"idle", "can be stopped", idle_can_be_stopped},
    {"idle", "is continued late", idle_is_continued_late},
    {"link", "a dead link ends a command", a_dead_link_ends_a_command},
    {"link", "a dead link ends idle", idle_finds_a_dead_link},
    {"link", "idle hears the end", idle_hears_the_end},
    {"race", "one lists by sequence, one removes", race_by_sequence},
    {"race", "one lists by UID, one removes", race_by_uid},
    {"big", "50 MB", fifty_megabytes},
    {"many", "10,000 messages", ten_thousand},
};

static void learn_capabilities(struct client *c)
{
    DO(command(S, "CAPABILITY", L));
    has_move = listed(c, " MOVE");
    has_uidplus = listed(c, " UIDPLUS");
    has_literal_plus = listed(c, " LITERAL+");
    has_idle = listed(c, " IDLE");
}

static struct client client;

static int configure(char **arguments)
{
    group = arguments[1];
    user = arguments[2];
    secure = atoi(arguments[3]);
    mode_name = arguments[4];
    stepping = strcmp(mode_name, "stepping") == 0;
    prepare(&client, user, secure, stepping);
    if (strcmp(group, "idle") == 0) {
        client.config.idle_renew = 2000;
        client.config.keep_going = stop_in_callback;
        client.stop_at = now() + 1000000;
    }
    client.config.idle_poll = 300;
    begin("connect");
    if (!open_session(&client)) {
        end();
        return 0;
    }
    learn_capabilities(&client);
    end();
    return 1;
}

int main(int argc, char **argv)
{
    size_t i;
    if (argc != 5) {
        fprintf(stderr, "live_commands GROUP USER SECURE MODE\n");
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    signal(SIGALRM, on_alarm);
    alarm(60);
    if (!configure(argv))
        return 1;
    for (i = 0; i < COUNT(all_checks); i++) {
        const struct check *check = &all_checks[i];
        if (strcmp(check->group, group) != 0)
            continue;
        begin(check->name != 0 ? check->name : "session");
        if (!imapconnect_is_open(&client.imap) || strcmp(group, "errors") == 0) {
            close_session(&client);
            CHECK(open_session(&client));
        }
        forget_sent(&client);
        check->run(&client);
        if (check->name != 0)
            end();
    }
    close_session(&client);
    puts("done");
    return bad_checks != 0;
}
