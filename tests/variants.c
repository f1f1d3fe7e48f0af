/* variants.c: one session, for variants.sh, which compiles it with each wolfSSL that it has built.

       variants HOW SERVER SECURE CA

   HOW is where the CA comes from: path (CA is a file or a folder), data (a buffer, read from the file CA), context
   (a WOLFSSL_CTX with that buffer loaded; with WOLFSSL_STATIC_MEMORY it lives in an array), or own (the library's own
   context, and that buffer). The certificate is verified. It logs in, selects the inbox, receives message BIG_NUMBER of
   the environment, logs out, and prints "CODE MECHANISM MESSAGES BYTES". */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include <stdio.h>
#include <stdlib.h>

static char ca[8192];
static size_t ca_size;

static void read_ca(const char *name)
{
    FILE *file = fopen(name, "rb");
    if (file == 0)
        return;
    ca_size = fread(ca, 1, sizeof ca, file);
    fclose(file);
}

#ifdef IMAPCONNECT_NO_TLS

static struct WOLFSSL_CTX *make_context(void)
{
    return 0;
}

static void free_context(struct WOLFSSL_CTX *context)
{
    (void)context;
}

#else

static WOLFSSL_CTX *empty_context(void)
{
#ifdef WOLFSSL_STATIC_MEMORY
    static unsigned char memory[STATIC_MEMORY];
    WOLFSSL_CTX *context = 0;
    return wolfSSL_CTX_load_static_memory(&context, wolfSSLv23_client_method_ex, memory, sizeof memory,
                                          WOLFMEM_GENERAL, 1) == WOLFSSL_SUCCESS
               ? context
               : 0;
#else
    return wolfSSL_CTX_new(wolfSSLv23_client_method());
#endif
}

static WOLFSSL_CTX *make_context(void)
{
    WOLFSSL_CTX *context = empty_context();
    if (context == 0 || wolfSSL_CTX_load_verify_buffer(context, (const unsigned char *)ca, (long)ca_size,
                                                       WOLFSSL_FILETYPE_PEM) != WOLFSSL_SUCCESS) {
        fprintf(stderr, "no context\n");
        exit(2);
    }
    return context;
}

static void free_context(WOLFSSL_CTX *context)
{
    wolfSSL_CTX_free(context);
}

#endif

static int count_bytes(void *user, const void *bytes, size_t count)
{
    (void)bytes;
    *(size_t *)user += count;
    return 0;
}

/* UIDs are not known beforehand: the row with this sequence number has it. */
static int take_uid(void *user, const imapconnect_message *row)
{
    *(uint32_t *)user = row->uid;
    return 0;
}

/* After the login. Returns 0 or the code of what failed. */
static int read_mail(imapconnect_session *imap, uint32_t *messages, size_t *bytes)
{
    const char *number = getenv("BIG_NUMBER");
    uint32_t sequence = number != 0 ? (uint32_t)strtoul(number, 0, 10) : 0, uid = 0;
    imapconnect_selection inbox;
    int code = imapconnect_select_mailbox(imap, "INBOX", &inbox, 0);
    if (code != 0)
        return code;
    *messages = inbox.messages;
    code = imapconnect_list_messages(imap, IMAPCONNECT_BY_SEQUENCE, sequence, sequence, take_uid, &uid, 0);
    if (code == 0)
        code = imapconnect_recv_message(imap, uid, count_bytes, bytes, 0);
    return code;
}

static void set_cas(imapconnect_config *config, const char *how, const char *name)
{
    config->ca_path = name;
    if (strcmp(how, "path") == 0)
        return;
    read_ca(name);
    config->ca_path = 0;
    config->ca_data = ca;
    config->ca_size = ca_size;
    if (strcmp(how, "context") == 0)
        config->wolfssl_ctx = make_context();
}

int main(int count, char **arguments)
{
    imapconnect_config config;
    imapconnect_session imap;
    char mechanism[16] = "";
    uint32_t messages = 0;
    size_t bytes = 0;
    int code;
    if (count != 5)
        return 2;
    imapconnect_config_init(&config);
    config.timeout = 20000;
    set_cas(&config, arguments[1], arguments[4]);
    if (imapconnect_init(&imap, &config) != 0)
        return 2;
    code = imapconnect(&imap, arguments[2], getenv("USER"), getenv("PASSWORD"), 0, 0, atoi(arguments[3]),
                       IMAPCONNECT_VERIFY);
    if (code >= 0) {
        snprintf(mechanism, sizeof mechanism, "%s", imapconnect_mechanism(&imap));
        code = read_mail(&imap, &messages, &bytes);
        if (code == 0)
            code = imapconnect_disconnect(&imap, 0);
    }
    fprintf(stderr, "wolfSSL says %d\n", imapconnect_detail(&imap));
    imapconnect_close(&imap);
    if (config.wolfssl_ctx != 0)
        free_context(config.wolfssl_ctx);
    printf("%s %s %lu %lu\n", code == 0 ? "ok" : imapconnect_code_name(code), mechanism[0] ? mechanism : "-",
           (unsigned long)messages, (unsigned long)bytes);
    return code != 0;
}
