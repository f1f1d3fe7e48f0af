/* Writes one message to a file, whatever its size: it passes through in pieces and never has to fit in memory.

   It goes to FILE.part-XXXXXX first, and gets its name when all of it is there and on the disk. So FILE is a whole
   message, or what it was before. Only its owner may read it: that is what mkstemp() makes.

       cc -std=c99 -D_POSIX_C_SOURCE=200809L -O2 fetch.c -o fetch -lwolfssl
       IMAPCONNECT_PASSWORD=secret ./fetch imap.example.org joe UID FILE [MAILBOX [FOLDER OR FILE OF CA CERTIFICATES]] */

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define IMAPCONNECT_READ_SIZE 16384 /* one TLS record; the default needs less memory and is slower */
#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

typedef struct job {
    const char *server, *user, *password, *mailbox, *cacerts;
    unsigned long uid;
    FILE *file;
} job;

static int write_bytes(void *user, const void *bytes, size_t count)
{
    if (fwrite(bytes, 1, count, (FILE *)user) == count)
        return 0;
    perror("fetch: cannot write");
    return 1; /* ends the session: IMAPCONNECT_E_CANCELLED */
}

/* Returns 0 when the whole message has come. */
static int receive(const job *j)
{
    imapconnect_config config;
    imapconnect_session imap;
    int result;

    imapconnect_config_init(&config);
    config.ca_path = j->cacerts;
    imapconnect_init(&imap, &config);
    result = imapconnect(&imap, j->server, j->user, j->password, 0, 0, IMAPCONNECT_TLS, IMAPCONNECT_VERIFY);
    if (result >= 0)
        result = imapconnect_examine_mailbox(&imap, j->mailbox, 0, 0); /* nothing is changed there */
    if (result >= 0)
        result = imapconnect_recv_message(&imap, (uint32_t)j->uid, write_bytes, j->file, 0);
    if (result < 0)
        fprintf(stderr, "fetch: %s (%d)\n", imapconnect_strerror(result), result);
    imapconnect_disconnect(&imap, 0); /* the message is here, or not, whatever comes of this */
    return result;
}

static int is_stored(FILE *file)
{
    return fflush(file) == 0 && fsync(fileno(file)) == 0;
}

/* Gives a whole message its name, removes half a one, and returns the exit status. */
static int finish(const job *j, const char *part, const char *name, int whole)
{
    int stored = whole && is_stored(j->file);
    stored = fclose(j->file) == 0 && stored;
    if (stored && rename(part, name) == 0)
        return 0;
    if (whole)
        perror(name);
    remove(part);
    return 1;
}

int main(int argc, char **argv)
{
    job j = {0};
    char part[4096];
    char *end = 0;
    int descriptor;

    j.password = getenv("IMAPCONNECT_PASSWORD");
    j.uid = argc > 4 && argv[3][0] >= '0' && argv[3][0] <= '9' ? strtoul(argv[3], &end, 10) : 0;
    if (j.password == 0 || j.uid == 0 || j.uid > 0xffffffff || *end != 0) {
        fputs("usage: IMAPCONNECT_PASSWORD=... fetch SERVER[:PORT] USER UID FILE [MAILBOX [CACERTS]]\n", stderr);
        return 2;
    }
    j.server = argv[1];
    j.user = argv[2];
    j.mailbox = argc > 5 ? argv[5] : "INBOX";
    j.cacerts = argc > 6 ? argv[6] : 0;

    snprintf(part, sizeof part, "%.4000s.part-XXXXXX", argv[4]);
    descriptor = mkstemp(part);
    j.file = descriptor >= 0 ? fdopen(descriptor, "wb") : 0;
    if (j.file == 0) {
        perror(part);
        return 1;
    }
    return finish(&j, part, argv[4], receive(&j) == 0);
}
