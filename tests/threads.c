/* threads: many sessions at once, each in a thread of its own, against one server. A helper of analyze.sh, which
   compiles it with ThreadSanitizer.

       threads HOST IMAP_PORT IMAPS_PORT CAFILE USER PASSWORD

   Each way to connect is taken by all threads at the same time, and by each of them many times over. One line for
   each way; the status is 0 when every session of every thread was right. */

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#define THREADS  16
#define CONNECTS 20
#define LIMIT    20000u /* ms: sixteen handshakes at a time are slow under a sanitizer */

static const char *ca_file, *user_name, *password;
static WOLFSSL_CTX *shared;
static pthread_barrier_t start;

/* How to connect; all threads read it, and none writes it. */
typedef struct way {
    const char *name;
    int secure, shares;
    char server[80];
} way;

/* What belongs to one thread. Nobody else looks at it before the thread has ended. */
typedef struct worker {
    pthread_t thread;
    const way *how;
    imapconnect_session session;
    imapconnect_list responses;
    char text[1024];
    unsigned long lines, rows;
    int strangers, failed, code;
} worker;

/* The log procedure. A line of another session would come with another thread. */
static int on_log(void *user, int direction, const char *bytes, size_t count)
{
    worker *mine = user;
    (void)direction;
    if (!pthread_equal(mine->thread, pthread_self()))
        mine->strangers++;
    if (count > 0 && bytes[0] != '\0')
        mine->lines++;
    return 0;
}

static int on_message(void *user, const imapconnect_message *row)
{
    worker *mine = user;
    if (row->sequence == ++mine->rows)
        return 0;
    return 1;
}

/* One session, from connect to disconnect. Returns 0, or the code of the step that went wrong. */
static int run_session(worker *mine)
{
    imapconnect_selection selection;
    int code = imapconnect(&mine->session, mine->how->server, user_name, password, on_log, &mine->responses,
                           mine->how->secure, IMAPCONNECT_VERIFY);
    mine->rows = 0;
    if (code >= 0)
        code = imapconnect_noop(&mine->session, &mine->responses);
    if (code == 0)
        code = imapconnect_examine_mailbox(&mine->session, "INBOX", &selection, &mine->responses);
    if (code == 0)
        code = imapconnect_list_messages(&mine->session, IMAPCONNECT_BY_SEQUENCE, 0, 0, on_message, mine,
                                         &mine->responses);
    if (code == 0 && (mine->rows == 0 || mine->rows != selection.messages))
        code = IMAPCONNECT_E_FETCH_INCOMPLETE;
    if (code == 0)
        return imapconnect_disconnect(&mine->session, &mine->responses);
    (void)imapconnect_disconnect(&mine->session, 0);
    return code;
}

static void *work(void *argument)
{
    worker *mine = argument;
    imapconnect_config config;
    int i;

    mine->thread = pthread_self();
    imapconnect_config_init(&config);
    config.user = mine;
    config.timeout = LIMIT;
    if (mine->how->shares)
        config.wolfssl_ctx = shared;
    else
        config.ca_path = ca_file;
    imapconnect_list_init(&mine->responses, mine->text, sizeof mine->text);
    imapconnect_init(&mine->session, &config);
    pthread_barrier_wait(&start);
    for (i = 0; i < CONNECTS; i++) {
        int code = run_session(mine);
        if (code != 0) {
            mine->failed++;
            mine->code = code;
        }
    }
    return 0;
}

/* All threads at once. Returns how many sessions went wrong. */
static int run_way(const way *how)
{
    static worker workers[THREADS];
    pthread_t threads[THREADS];
    unsigned long lines = 0;
    int failed = 0, i;

    memset(workers, 0, sizeof workers);
    for (i = 0; i < THREADS; i++) {
        workers[i].how = how;
        if (pthread_create(&threads[i], 0, work, &workers[i]) != 0) {
            perror("threads: pthread_create");
            exit(1);
        }
    }
    for (i = 0; i < THREADS; i++) {
        pthread_join(threads[i], 0);
        failed += workers[i].failed + workers[i].strangers;
        lines += workers[i].lines;
        if (workers[i].code != 0)
            printf("thread %d: %d: %s\n", i, workers[i].code, imapconnect_strerror(workers[i].code));
    }
    printf("%s: %d sessions in %d threads, %lu lines of log, %d wrong\n", how->name, THREADS * CONNECTS, THREADS,
           lines, failed);
    return failed + (lines == 0);
}

static void set_up(way *ways, const char *host, const char *imap, const char *imaps)
{
    int i;
    for (i = 0; i < 4; i++)
        snprintf(ways[i].server, sizeof ways[i].server, "%s:%s", host,
                 ways[i].secure == IMAPCONNECT_TLS ? imaps : imap);
    wolfSSL_Init(); /* once, before the first thread: it races with itself */
    shared = wolfSSL_CTX_new(wolfTLS_client_method());
    if (shared == 0 || wolfSSL_CTX_load_verify_locations(shared, ca_file, 0) != WOLFSSL_SUCCESS ||
        pthread_barrier_init(&start, 0, THREADS) != 0) {
        fprintf(stderr, "threads: no context\n");
        exit(1);
    }
}

int main(int argc, char **argv)
{
    static way ways[] = {{"in clear", IMAPCONNECT_INSECURE, 0, ""},
                         {"TLS, a context each", IMAPCONNECT_TLS, 0, ""},
                         {"TLS, one context for all", IMAPCONNECT_TLS, 1, ""},
                         {"STARTTLS, one context for all", IMAPCONNECT_STARTTLS, 1, ""}};
    int failed = 0, i;

    if (argc != 7) {
        fprintf(stderr, "usage: threads HOST IMAP_PORT IMAPS_PORT CAFILE USER PASSWORD\n");
        return 2;
    }
    ca_file = argv[4];
    user_name = argv[5];
    password = argv[6];
    set_up(ways, argv[1], argv[2], argv[3]);
    for (i = 0; i < 4; i++)
        failed += run_way(&ways[i]);
    pthread_barrier_destroy(&start);
    wolfSSL_CTX_free(shared);
    return failed != 0;
}
