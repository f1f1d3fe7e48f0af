/* Waits for mail, and prints the subject of each new message.

   imapconnect_idle() waits: with IDLE, or where the server has no IDLE with NOOP now and then. It says that
   something happened; which messages are new, say their UIDs, which only grow. Ctrl-C ends it.

       cc -std=c99 -D_POSIX_C_SOURCE=200809L -O2 watch.c -o watch -lwolfssl
       IMAPCONNECT_PASSWORD=secret ./watch imap.example.org joe [MAILBOX [FOLDER OR FILE OF CA CERTIFICATES]] */

#include <stdio.h>
#include <stdlib.h>

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#define AT_ONCE 16 /* messages that are listed at a time */

typedef struct subject {
    char text[500]; /* what is longer is cut */
    size_t used;
} subject;

/* Takes "Subject: ..." as it arrives, in pieces of any size. Bytes from the network must not steer the terminal. */
static int take_subject(void *user, const void *bytes, size_t count)
{
    subject *s = user;
    for (const char *c = bytes; count-- > 0 && s->used + 1 < sizeof s->text; c++)
        if (*c != '\r' && *c != '\n') /* a long one is folded into several lines */
            s->text[s->used++] = *c >= ' ' && *c < 0x7f ? *c : '?';
    return 0;
}

static int print_subject(imapconnect_session *imap, uint32_t uid)
{
    imapconnect_part part = {0};
    subject s = {{0}, 0};
    int result;
    part.section = "HEADER.FIELDS (SUBJECT)";
    result = imapconnect_recv_part(imap, uid, &part, take_subject, &s, 0);
    if (result == IMAPCONNECT_E_NO_MESSAGE) /* somebody was faster and has removed it */
        return 0;
    if (result == 0)
        printf("%lu: %s\n", (unsigned long)uid, s.used > 0 ? s.text : "(no subject)");
    return result == 0 && fflush(stdout) != 0 ? IMAPCONNECT_E_CANCELLED : result;
}

/* Prints the messages from *next on, and moves it behind them. Returns 1 when there were any: then there may be more. */
static int print_new(imapconnect_session *imap, uint32_t *next)
{
    imapconnect_message rows[AT_ONCE];
    imapconnect_messages messages = {rows, AT_ONCE, 0};
    uint32_t first = *next;
    int result =
        imapconnect_list_messages(imap, IMAPCONNECT_BY_UID, first, 0, imapconnect_collect_message, &messages, 0);
    for (size_t i = 0; result == 0 && i < messages.count && i < messages.size; i++)
        if (rows[i].uid >= *next) {
            *next = rows[i].uid + 1;
            result = print_subject(imap, rows[i].uid);
        }
    return result != 0 ? result : *next != first;
}

static int watch(imapconnect_session *imap, const char *mailbox)
{
    imapconnect_selection selection;
    int result = imapconnect_examine_mailbox(imap, mailbox, &selection, 0);
    while (result >= 0) {
        /* What comes at the very moment of looking is not news any more: so it looks each minute, too. */
        result = imapconnect_idle(imap, 60000, 0, 0, 0);
        while (result >= 0 && (result = print_new(imap, &selection.uidnext)) == 1)
            continue;
    }
    return result;
}

int main(int argc, char **argv)
{
    imapconnect_config config;
    imapconnect_session imap;
    const char *password = getenv("IMAPCONNECT_PASSWORD");
    int result;

    if (argc < 3 || password == 0) {
        fputs("usage: IMAPCONNECT_PASSWORD=... watch SERVER[:PORT] USER [MAILBOX [CACERTS]]\n", stderr);
        return 2;
    }
    imapconnect_config_init(&config);
    config.ca_path = argc > 4 ? argv[4] : 0;
    imapconnect_init(&imap, &config);

    result = imapconnect(&imap, argv[1], argv[2], password, 0, 0, IMAPCONNECT_TLS, IMAPCONNECT_VERIFY);
    if (result >= 0)
        result = watch(&imap, argc > 3 ? argv[3] : "INBOX");
    fprintf(stderr, "watch: %s (%d)\n", imapconnect_strerror(result), result);
    imapconnect_disconnect(&imap, 0);
    return 1;
}
