/* Reads mail on a Cortex-M3 without an operating system, over verified TLS, and says what that costs.

   The image runs in QEMU, board mps2-an385; `./build.sh firmware` builds it and runs it against a Dovecot of its own.
   What it does comes as words behind the program's name:

       server=NAME[:PORT]   the server; its certificate must be for this name
       at=ADDRESS           where that is; without, DNS is asked
       user= password=      who
       records=small        asks the server for TLS records of 1 KB (RFC 6066), in place of 16 KB
       watchdog=SECONDS     how long it waits to be fed, 10 when not given
       do=login             no more than to log in, and out
       do=again             that five times, one after the other
       do=hang              feeds no watchdog
       do=deep              fills the stack
       clock=SECONDS        believes that so many have passed since 1970

   What to take from here: user_settings.h, lwip_transport.c and .h, and the lines in `read_mail` and `configure`. */

#include <string.h>

#include <wolfssl/wolfcrypt/settings.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/sha256.h>

#include "lwip/dns.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"

#include "board.h"
#include "heap.h"
#include "imapconnect.h"
#include "lan9118.h"
#include "lwip_transport.h"

#define ETHERNET_CHIP    ((void *)0x40200000)
#define WATCHDOG_SECONDS "10"
#define IDLE_LIMIT       60000u

extern const unsigned char firmware_ca[], firmware_ca_end[]; /* ca.S */

/* ---- what to do ---- */

typedef struct order {
    const char *server, *at, *user, *password, *records, *todo, *clock, *watchdog;
} order;

/* The value of the word, when it begins with `key`. */
static int take_word(const char **value, const char *key, const char *word)
{
    size_t length = strlen(key);
    if (strncmp(word, key, length) != 0)
        return 0;
    *value = word + length;
    return 1;
}

/* Takes the words of `text` apart, in place. Returns 0 when one of them is unknown. */
static int take_words(order *o, char *text)
{
    char *word, *rest = strchr(text, ' '); /* behind the program's name */
    while (rest != 0) {
        *rest++ = 0;
        word = rest;
        rest = strchr(word, ' ');
        if (rest != 0)
            *rest = 0;
        if (!take_word(&o->server, "server=", word) && !take_word(&o->at, "at=", word) &&
            !take_word(&o->user, "user=", word) && !take_word(&o->password, "password=", word) &&
            !take_word(&o->records, "records=", word) && !take_word(&o->todo, "do=", word) &&
            !take_word(&o->clock, "clock=", word) && !take_word(&o->watchdog, "watchdog=", word))
            return 0;
    }
    return o->server[0] != 0;
}

static uint32_t number_of(const char *digits)
{
    uint32_t number = 0;
    while (*digits >= '0' && *digits <= '9')
        number = number * 10 + (uint32_t)(*digits++ - '0');
    return number;
}

/* ---- output: one line for each thing ---- */

static void print(const char *text, uint32_t number, const char *more)
{
    board_print(text);
    board_print_number(number);
    board_print(more);
}

static uint32_t step_began;

/* How long the step took. In QEMU this is the host's speed, not the board's. */
static void print_time(const char *step)
{
    uint32_t now = board_milliseconds();
    print("time: ", now - step_began, " ms, ");
    board_print(step);
    board_print("\n");
    step_began = now;
}

/* The heap of one step. */
static void print_heap(const char *step)
{
    print("heap: ", heap_peak(), "");
    print(" bytes at most, within ", heap_reach(), "");
    print(" of ", heap_size(), ", ");
    board_print(step);
    board_print("\n");
    heap_restart();
}

static uint32_t fed, longest_wait; /* when the watchdog was, and how long it had to wait for that */

static void print_figures(void)
{
    print("watchdog: fed after ", longest_wait, " ms at most\n");
    print("stack: ", board_stack_used(), "");
    print(" of ", board_stack_size(), " bytes\n");
    print("heap: ", heap_in_use(), " bytes left in use\n");
    print("TCP: a window of ", TCP_WND, "");
    print(" bytes, segments of ", TCP_MSS, "\n");
    print("session: ", sizeof(imapconnect_session), " bytes\n");
    print("flash: ", board_flash_used(), " bytes\n");
    print("RAM: ", board_ram_used(), "");
    print(" bytes and ", board_stack_size(), " of stack\n");
}

/* ---- the network: one interface, moved along by whoever waits ---- */

static struct netif interface;

static void poll_network(void)
{
    lan9118_poll(&interface);
    sys_check_timeouts();
}

/* QEMU's user network. A product has DHCP here, and waits for an address. */
static void start_network(void)
{
    ip4_addr_t address, mask, gateway;
    ip_addr_t dns;
    IP4_ADDR(&address, 10, 0, 2, 15);
    IP4_ADDR(&mask, 255, 255, 255, 0);
    IP4_ADDR(&gateway, 10, 0, 2, 2);
    IP_ADDR4(&dns, 10, 0, 2, 2);
    lwip_init();
    if (netif_add(&interface, &address, &mask, &gateway, ETHERNET_CHIP, lan9118_init, ethernet_input) == 0)
        board_panic("no Ethernet");
    netif_set_default(&interface);
    netif_set_up(&interface);
    dns_setserver(0, &dns);
}

/* The server's name is known to be at this address. */
static void add_host(const char *server, const char *at)
{
    char name[DNS_LOCAL_HOSTLIST_MAX_NAMELEN];
    size_t length = strcspn(server, ":");
    ip_addr_t address;
    if (length >= sizeof name || !ipaddr_aton(at, &address))
        board_panic("at= cannot be used");
    memcpy(name, server, length);
    name[length] = 0;
    dns_local_addhost(name, &address);
}

/* ---- the session ---- */

static lwip_transport link;
static imapconnect_session imap;

static uint32_t clock_of(void *user)
{
    (void)user;
    return board_milliseconds();
}

/* At least once a second while a call waits, and now and then while it works: if no more than this feeds the watchdog,
   then the time limits of the session are what ends a call. Cryptography is not interrupted: how long that takes at most
   is what the watchdog must allow. */
static int keep_going(void *user)
{
    uint32_t now = board_milliseconds();
    (void)user;
    board_feed_watchdog();
    if (now - fed > longest_wait)
        longest_wait = now - fed;
    fed = now;
    return 0;
}

/* A context of one's own, where TLS needs a setting that the configuration does not have: here, records of at most 1 KB,
   when the server agrees. Several sessions can share it. */
static WOLFSSL_CTX *new_context(void)
{
    WOLFSSL_CTX *context = wolfSSL_CTX_new(wolfSSLv23_client_method());
    if (context == 0)
        return 0;
    wolfSSL_CTX_set_verify(context, WOLFSSL_VERIFY_PEER, 0); /* before the CA is loaded: an expired one is refused */
    if (wolfSSL_CTX_load_verify_buffer(context, firmware_ca, firmware_ca_end - firmware_ca, WOLFSSL_FILETYPE_ASN1) ==
            WOLFSSL_SUCCESS &&
        wolfSSL_CTX_UseMaxFragment(context, WOLFSSL_MFL_2_10) == WOLFSSL_SUCCESS)
        return context;
    wolfSSL_CTX_free(context);
    return 0;
}

static void configure(imapconnect_config *config, WOLFSSL_CTX *context)
{
    imapconnect_config_init(config);
    lwip_transport_init(&link, &config->transport, poll_network);
    config->clock = clock_of;
    config->keep_going = keep_going;
    config->wolfssl_ctx = context; /* or, without one: */
    config->ca_data = firmware_ca;
    config->ca_size = (size_t)(firmware_ca_end - firmware_ca);
    config->ca_format = IMAPCONNECT_DER;
    config->timeout = 30000;
}

/* ---- reading mail ---- */

typedef struct survey { /* of the listing */
    uint32_t first, largest, size;
} survey;

static int on_message(void *user, const imapconnect_message *row)
{
    survey *s = (survey *)user;
    print("message: ", row->sequence, "");
    print(", UID ", row->uid, "");
    print(", ", row->size, " bytes, ");
    board_print(row->internal_date);
    board_print(row->flags.seen ? ", seen\n" : "\n");
    if (s->first == 0)
        s->first = row->uid;
    if (row->size > s->size) {
        s->size = row->size;
        s->largest = row->uid;
    }
    return 0;
}

typedef struct digest { /* of a message as it passes */
    wc_Sha256 hash;
    uint32_t bytes;
} digest;

static int on_bytes(void *user, const void *bytes, size_t count)
{
    digest *d = (digest *)user;
    d->bytes += (uint32_t)count;
    return wc_Sha256Update(&d->hash, (const byte *)bytes, (word32)count);
}

static void print_digest(digest *d)
{
    static const char digits[] = "0123456789abcdef";
    byte hash[WC_SHA256_DIGEST_SIZE];
    char text[2 * WC_SHA256_DIGEST_SIZE + 1];
    size_t i;
    wc_Sha256Final(&d->hash, hash);
    for (i = 0; i < sizeof hash; i++) {
        text[2 * i] = digits[hash[i] >> 4];
        text[2 * i + 1] = digits[hash[i] & 15];
    }
    text[2 * i] = 0;
    print("received: ", d->bytes, " bytes, SHA-256 ");
    board_print(text);
    board_print("\n");
}

/* A message of any size passes through; here its hash is taken. */
static int receive(uint32_t uid)
{
    digest d;
    int result;
    d.bytes = 0;
    if (wc_InitSha256(&d.hash) != 0)
        return IMAPCONNECT_E_MEMORY;
    result = imapconnect_recv_message(&imap, uid, on_bytes, &d, 0);
    if (result == 0)
        print_digest(&d);
    wc_Sha256Free(&d.hash);
    return result;
}

/* The first news of messages ends the wait. */
static int on_news(void *user, int what, uint32_t number)
{
    (void)user;
    if (what != IMAPCONNECT_NEWS_EXISTS)
        return 0;
    print("news: ", number, " messages\n");
    return 1;
}

static int wait_for_news(void)
{
    int result;
    board_print("idle: waiting\n");
    result = imapconnect_idle(&imap, IDLE_LIMIT, on_news, 0, 0);
    print_time("in IDLE");
    return result;
}

/* Everything between the login and the logout. */
static int look_around(void)
{
    imapconnect_selection inbox;
    survey s = {0, 0, 0};
    int result = imapconnect_select_mailbox(&imap, "INBOX", &inbox, 0);
    if (result != 0)
        return result;
    print("INBOX: ", inbox.messages, " messages\n");
    result = imapconnect_list_messages(&imap, IMAPCONNECT_BY_SEQUENCE, 0, 0, on_message, &s, 0);
    print_time("SELECT and list");
    if (result == 0)
        result = receive(s.first);
    if (result == 0)
        result = receive(s.largest);
    print_time("receive");
    print_heap("receive");
    return result == 0 ? wait_for_news() : result;
}

static int read_mail(const order *o)
{
    int result = imapconnect(&imap, o->server, o->user, o->password, 0, 0, IMAPCONNECT_TLS, IMAPCONNECT_VERIFY);
    int ended;
    print_time("connect");
    print_heap("connect");
    if (result >= 0) {
        board_print("logged in by ");
        board_print(imapconnect_mechanism(&imap));
        board_print("\n");
        result = o->todo[0] != 0 ? 0 : look_around();
    }
    ended = imapconnect_disconnect(&imap, 0); /* after an error it sends nothing, and gives that error */
    return result < 0 ? result : ended;
}

/* With a context or without, one session from the beginning to the end. */
static int run(const order *o)
{
    imapconnect_config config;
    WOLFSSL_CTX *context = 0;
    int result;
    if (strcmp(o->records, "small") == 0 && (context = new_context()) == 0)
        return IMAPCONNECT_E_CA_FILE;
    configure(&config, context);
    imapconnect_init(&imap, &config);
    step_began = fed = board_milliseconds();
    result = read_mail(o);
    if (context != 0)
        wolfSSL_CTX_free(context);
    return result;
}

/* What becomes of a program that hangs, or whose stack is too small. */
static int misbehave(const char *todo, int depth)
{
    volatile char much[64];
    much[depth & 63] = (char)depth;
    while (strcmp(todo, "hang") == 0)
        continue;
    return strcmp(todo, "deep") == 0 ? misbehave(todo, depth + 1) + much[depth & 63] : depth;
}

int main(void)
{
    static char text[256]; /* `o` points into it */
    order o = {"", "", "", "", "", "", "", WATCHDOG_SECONDS};
    int times, result = 0;

    board_print("WARNING: the random numbers are the host's. Not for a product: write firmware_seed().\n");
    if (!board_arguments(text, sizeof text) || !take_words(&o, text))
        board_panic("no words that make sense");
    if (o.clock[0] != 0)
        board_set_time(number_of(o.clock));
    start_network();
    if (o.at[0] != 0)
        add_host(o.server, o.at);
    board_start_watchdog(number_of(o.watchdog));
    (void)misbehave(o.todo, 0);

    for (times = strcmp(o.todo, "again") == 0 ? 5 : 1; times > 0 && result == 0; times--)
        result = run(&o);
    print_figures();
    print(result < 0 ? "result: -" : "result: ", (uint32_t)(result < 0 ? -result : result), "\n");
    return result < 0;
}
