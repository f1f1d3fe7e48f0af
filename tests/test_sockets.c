/* Room >>sockets: the platform's transport against real listeners on loopback, made here. After each test no
   descriptor is left. */

#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"
#include "loopback.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <signal.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static int count_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;

    assert_non_null(folder);
    while (readdir(folder) != 0)
        count++;
    closedir(folder);
    return count;
}

static int descriptors_before;

static int remember_descriptors(void **state)
{
    (void)state;
    descriptors_before = count_descriptors();
    return 0;
}

static int no_descriptor_is_left(void **state)
{
    (void)state;
    return count_descriptors() != descriptors_before;
}

/* A port that nobody listens on. */
static uint16_t closed_port(void)
{
    uint16_t port;

    close(listen_here(&port, 1));
    return port;
}

static void begin(imapconnect_sockets *sockets)
{
    memset(sockets, 0, sizeof *sockets);
    sockets->fd = -1;
}

/* Opens, and waits as a blocking session does. */
static int open_to(imapconnect_sockets *sockets, const char *host, uint16_t port)
{
    int tries, code;

    for (tries = 0; tries < 100; tries++) {
        uint32_t milliseconds = 5000;

        code = imc_sockets_open(sockets, host, port, &milliseconds);
        if (code != IMAPCONNECT_WANT_WRITE)
            return code;
        assert_in_range(milliseconds, 1, 5000);
        assert_int_equal(imc_sockets_wait(sockets, IMAPCONNECT_WRITABLE, milliseconds), 0);
    }
    return code;
}

/* A connection, and the server's end of it. */
static int connected(imapconnect_sockets *sockets)
{
    uint16_t port;
    int listener = listen_here(&port, 5), server;

    begin(sockets);
    assert_true(open_to(sockets, "127.0.0.1", port) >= 0);
    server = accept(listener, 0, 0);
    assert_true(server >= 0);
    close(listener);
    return server;
}

/* Reads as a session does: after would-block it waits. */
static int read_waiting(imapconnect_sockets *sockets, void *bytes, size_t count)
{
    int tries, got = 0;

    for (tries = 0; tries < 10; tries++) {
        got = imc_sockets_read(sockets, bytes, count);
        if (got != IMAPCONNECT_WANT_READ)
            return got;
        assert_int_equal(imc_sockets_wait(sockets, IMAPCONNECT_READABLE, 2000), 0);
    }
    return got;
}

/* ---- one connection ---- */

static void how_a_socket_is_set(void **state)
{
    imapconnect_sockets sockets;
    int server = connected(&sockets), on = 0;
    socklen_t size = sizeof on;

    (void)state;
    assert_true(fcntl(sockets.fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(sockets.fd, F_GETFD) & FD_CLOEXEC);
    assert_int_equal(getsockopt(sockets.fd, IPPROTO_TCP, TCP_NODELAY, &on, &size), 0);
    assert_int_not_equal(on, 0);
    imc_sockets_close(&sockets);
    assert_int_equal(sockets.fd, -1);
    close(server);
}

static void bytes_go_both_ways(void **state)
{
    imapconnect_sockets sockets;
    int server = connected(&sockets);
    char bytes[16];

    (void)state;
    assert_int_equal(imc_sockets_write(&sockets, "hello", 5), 5);
    assert_int_equal(recv(server, bytes, sizeof bytes, 0), 5);
    assert_memory_equal(bytes, "hello", 5);
    assert_int_equal(send(server, "answer", 6, 0), 6);
    assert_int_equal(read_waiting(&sockets, bytes, 4), 4);
    assert_memory_equal(bytes, "answ", 4);
    assert_int_equal(read_waiting(&sockets, bytes, sizeof bytes), 2);
    assert_memory_equal(bytes, "er", 2);
    imc_sockets_close(&sockets);
    close(server);
}

/* Nothing is lost by the reads that are saved: who waits after each would-block gets every byte. */
static void a_megabyte_comes_whole(void **state)
{
    imapconnect_sockets sockets;
    int server = connected(&sockets);
    size_t sent = 0, read = 0;
    char out[1000], in[512];

    (void)state;
    assert_int_equal(fcntl(server, F_SETFL, O_NONBLOCK), 0);
    while (read < 1000000) {
        int got;
        size_t i;

        for (i = 0; i < sizeof out; i++)
            out[i] = (char)((sent + i) % 251);
        if (sent < 1000000) {
            ssize_t moved = send(server, out, sizeof out < 1000000 - sent ? sizeof out : 1000000 - sent, 0);
            sent += moved > 0 ? (size_t)moved : 0;
        }
        got = read_waiting(&sockets, in, sizeof in);
        assert_in_range(got, 1, sizeof in);
        for (i = 0; i < (size_t)got; i++)
            assert_int_equal((unsigned char)in[i], (read + i) % 251);
        read += (size_t)got;
    }
    imc_sockets_close(&sockets);
    close(server);
}

static void the_end_of_the_stream(void **state)
{
    imapconnect_sockets sockets;
    int server = connected(&sockets);
    char bytes[16];

    (void)state;
    assert_int_equal(send(server, "bye", 3, 0), 3);
    close(server);
    assert_int_equal(read_waiting(&sockets, bytes, sizeof bytes), 3);
    assert_int_equal(read_waiting(&sockets, bytes, sizeof bytes), IMAPCONNECT_CLOSED);
    assert_int_equal(read_waiting(&sockets, bytes, sizeof bytes), IMAPCONNECT_CLOSED);
    imc_sockets_close(&sockets);
}

/* Closes with RST in place of FIN. */
static void reset(int server)
{
    struct linger linger;

    linger.l_onoff = 1;
    linger.l_linger = 0;
    assert_int_equal(setsockopt(server, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(server);
}

static void a_reset_is_not_an_end(void **state)
{
    imapconnect_sockets sockets;
    int server = connected(&sockets);
    char bytes[16];

    (void)state;
    reset(server);
    assert_int_equal(read_waiting(&sockets, bytes, sizeof bytes), IMAPCONNECT_E_RESET);
    assert_int_equal(sockets.detail, ECONNRESET);
    imc_sockets_close(&sockets);
}

static volatile sig_atomic_t signals;

static void count_signal(int number)
{
    (void)number;
    signals++;
}

static void catch_signal(int number)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = count_signal;
    assert_int_equal(sigaction(number, &action, 0), 0);
    signals = 0;
}

/* A library must not end the program. */
static void writing_to_a_dead_connection_raises_no_signal(void **state)
{
    imapconnect_sockets sockets;
    int server = connected(&sockets), i, code = 1;

    (void)state;
    catch_signal(SIGPIPE);
    reset(server);
    for (i = 0; i < 5 && code != IMAPCONNECT_E_RESET; i++) {
        code = imc_sockets_write(&sockets, "x", 1);
        (void)imc_sockets_wait(&sockets, IMAPCONNECT_READABLE, 100);
    }
    assert_int_equal(code, IMAPCONNECT_E_RESET);
    assert_int_equal(imc_sockets_write(&sockets, "x", 1), IMAPCONNECT_E_RESET);
    assert_int_equal(sockets.detail, EPIPE);
    assert_int_equal(signals, 0);
    imc_sockets_close(&sockets);
}

static void would_block(void **state)
{
    imapconnect_sockets sockets;
    int server = connected(&sockets), code, i;
    static char block[65536];

    (void)state;
    assert_int_equal(imc_sockets_read(&sockets, block, sizeof block), IMAPCONNECT_WANT_READ);
    assert_int_equal(imc_sockets_read(&sockets, block, sizeof block), IMAPCONNECT_WANT_READ);
    for (i = 0; i < 1000; i++) {
        code = imc_sockets_write(&sockets, block, sizeof block);
        if (code < 0)
            break;
    }
    assert_int_equal(code, IMAPCONNECT_WANT_WRITE);
    assert_int_equal(sockets.detail, 0);
    imc_sockets_close(&sockets);
    close(server);
}

/* ---- waiting ---- */

static void a_wait_ends_when_something_is_possible(void **state)
{
    imapconnect_sockets sockets;
    int server = connected(&sockets);
    uint32_t began = imc_sockets_clock(0);

    (void)state;
    assert_int_equal(imc_sockets_wait(&sockets, IMAPCONNECT_READABLE, 60), 0); /* nothing is there */
    assert_in_range(imc_sockets_clock(0) - began, 55, 1000);
    began = imc_sockets_clock(0);
    assert_int_equal(imc_sockets_wait(&sockets, IMAPCONNECT_WRITABLE, 5000), 0);
    assert_int_equal(imc_sockets_wait(&sockets, IMAPCONNECT_READABLE | IMAPCONNECT_WRITABLE, 5000), 0);
    assert_int_equal(send(server, "x", 1, 0), 1);
    assert_int_equal(imc_sockets_wait(&sockets, IMAPCONNECT_READABLE, 0xffffffffu), 0);
    close(server);
    assert_int_equal(imc_sockets_wait(&sockets, IMAPCONNECT_READABLE, 5000), 0);
    assert_in_range(imc_sockets_clock(0) - began, 0, 2000);
    imc_sockets_close(&sockets);
}

/* A signal ends a wait early, and is no error; the session looks at its clock and waits on. */
static void a_signal_is_no_error(void **state)
{
    imapconnect_sockets sockets;
    int server = connected(&sockets);
    uint32_t began = imc_sockets_clock(0);

    (void)state;
    catch_signal(SIGALRM);
    alarm(1);
    assert_int_equal(imc_sockets_wait(&sockets, IMAPCONNECT_READABLE, 10000), 0);
    assert_int_equal(signals, 1);
    assert_in_range(imc_sockets_clock(0) - began, 0, 5000);
    imc_sockets_close(&sockets);
    close(server);
}

static void the_clock_counts_milliseconds(void **state)
{
    struct timespec pause = {0, 50000000};
    uint32_t began = imc_sockets_clock(0), last = began;
    int i;

    (void)state;
    for (i = 0; i < 1000; i++) {
        uint32_t now = imc_sockets_clock(0);
        assert_true(now - last < 10000); /* never back */
        last = now;
    }
    began = imc_sockets_clock(0);
    nanosleep(&pause, 0);
    assert_in_range(imc_sockets_clock(0) - began, 49, 2000);
}

/* ---- connecting ---- */

static void nobody_listens(void **state)
{
    imapconnect_sockets sockets;

    (void)state;
    begin(&sockets);
    assert_int_equal(open_to(&sockets, "127.0.0.1", closed_port()), IMAPCONNECT_E_REFUSED);
    assert_int_equal(sockets.detail, ECONNREFUSED);
    assert_int_equal(sockets.fd, -1);
    imc_sockets_close(&sockets);
    imc_sockets_close(&sockets); /* twice is harmless */
    assert_int_equal(open_to(&sockets, "127.0.0.1", closed_port()), IMAPCONNECT_E_REFUSED);
    imc_sockets_close(&sockets);
}

static void an_ipv6_address(void **state)
{
    imapconnect_sockets sockets;
    struct sockaddr_in6 address;
    socklen_t size = sizeof address;
    int listener = socket(AF_INET6, SOCK_STREAM, 0);

    (void)state;
    memset(&address, 0, sizeof address);
    address.sin6_family = AF_INET6;
    address.sin6_addr.s6_addr[15] = 1;
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0) {
        if (listener >= 0)
            close(listener);
        skip(); /* no IPv6 here */
    }
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    begin(&sockets);
    assert_true(open_to(&sockets, "::1", ntohs(address.sin6_port)) >= 0);
    imc_sockets_close(&sockets);
    assert_true(open_to(&sockets, "0:0:0:0:0:0:0.0.0.1", ntohs(address.sin6_port)) >= 0);
    imc_sockets_close(&sockets);
    close(listener);
}

/* A name that most systems know without asking anyone. It may stand for two addresses, one of them refused. Where it is
   unknown (a bare chroot has no /etc/hosts), that is what has to come out. */
static void a_name_is_looked_up(void **state)
{
    imapconnect_sockets sockets;
    struct addrinfo *found = 0;
    int unknown = getaddrinfo("localhost", 0, 0, &found);
    uint16_t port;
    int listener = listen_here(&port, 5);

    (void)state;
    begin(&sockets);
    if (unknown != 0) {
        int code = open_to(&sockets, "localhost", port);

        assert_in_range(-code, 11001, 11004);
        close(listener);
        return;
    }
    freeaddrinfo(found);
    assert_true(open_to(&sockets, "localhost", port) >= 0);
    assert_true(sockets.addresses != 0);
    imc_sockets_close(&sockets);
    assert_true(sockets.addresses == 0);
    close(listener);
}

/* A list of addresses as a look-up gives it; close frees it. */
static void add_address(imapconnect_sockets *sockets, const char *host, uint16_t port)
{
    struct addrinfo hints, *address = 0, **last = &sockets->addresses;
    char service[8];

    memset(&hints, 0, sizeof hints);
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
    sprintf(service, "%u", (unsigned)port);
    assert_int_equal(getaddrinfo(host, service, &hints, &address), 0);
    while (*last != 0)
        last = &(*last)->ai_next;
    *last = address;
    sockets->next = sockets->addresses;
    sockets->left++;
}

static void every_address_is_tried(void **state)
{
    imapconnect_sockets sockets;
    uint16_t port;
    int listener = listen_here(&port, 5), server;

    (void)state;
    begin(&sockets);
    add_address(&sockets, "127.0.0.1", closed_port());
    add_address(&sockets, "127.0.0.2", closed_port());
    add_address(&sockets, "127.0.0.1", port);
    add_address(&sockets, "127.0.0.1", closed_port());
    assert_true(open_to(&sockets, "h", port) >= 0);
    server = accept(listener, 0, 0);
    assert_true(server >= 0);
    assert_int_equal(sockets.left, 1); /* the last one was not needed */
    close(server);
    imc_sockets_close(&sockets);
    close(listener);
}

static void the_first_error_counts(void **state)
{
    imapconnect_sockets sockets;

    (void)state;
    begin(&sockets);
    add_address(&sockets, "127.0.0.1", closed_port());
    add_address(&sockets, "255.255.255.255", 1143); /* no connection to a broadcast address */
    assert_int_equal(open_to(&sockets, "h", 1), IMAPCONNECT_E_REFUSED);
    imc_sockets_close(&sockets);

    begin(&sockets);
    add_address(&sockets, "255.255.255.255", 1143);
    add_address(&sockets, "127.0.0.1", closed_port());
    assert_int_not_equal(open_to(&sockets, "h", 1), IMAPCONNECT_E_REFUSED);
    imc_sockets_close(&sockets);
}

/* The errno of an address that failed is none of a connection that came up. */
static void no_number_after_a_success(void **state)
{
    imapconnect_sockets sockets;
    uint16_t port;
    int listener = listen_here(&port, 5), opened, detail;

    (void)state;
    begin(&sockets);
    add_address(&sockets, "127.0.0.1", closed_port());
    add_address(&sockets, "127.0.0.1", port);
    opened = open_to(&sockets, "h", 1);
    detail = sockets.detail;
    imc_sockets_close(&sockets);
    close(listener);
    assert_true(opened >= 0);
    assert_int_equal(detail, 0);
}

/* The errno belongs to the error that is returned: when all addresses fail, the first one's. */
static void the_number_below_the_error(void **state)
{
    imapconnect_sockets sockets;
    int code, detail;

    (void)state;
    begin(&sockets);
    add_address(&sockets, "127.0.0.1", closed_port());
    add_address(&sockets, "255.255.255.255", 1143);
    code = open_to(&sockets, "h", 1);
    detail = sockets.detail;
    imc_sockets_close(&sockets);
    assert_int_equal(code, IMAPCONNECT_E_REFUSED);
    assert_int_equal(detail, ECONNREFUSED);
}

/* A listener whose queue is full: who connects gets no answer at all. */
typedef struct silent {
    int listener, waiting[8];
    size_t count;
    uint16_t port;
} silent;

static int make_silent(silent *s)
{
    struct sockaddr_in address;
    struct pollfd ready;
    int answered = 1;

    s->listener = listen_here(&s->port, 0);
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(s->port);
    for (s->count = 0; s->count < COUNT(s->waiting) && answered;) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);

        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
        (void)connect(fd, (struct sockaddr *)&address, sizeof address);
        ready.fd = fd;
        ready.events = POLLOUT;
        answered = poll(&ready, 1, 100) > 0;
        s->waiting[s->count++] = fd;
    }
    return !answered;
}

static void end_silent(silent *s)
{
    while (s->count > 0)
        close(s->waiting[--s->count]);
    close(s->listener);
}

/* Each address gets what is left, divided by the addresses left. */
static void each_address_gets_its_share(void **state)
{
    imapconnect_sockets sockets;
    silent s;
    uint32_t milliseconds = 900;
    int first, second;

    (void)state;
    if (!make_silent(&s)) {
        end_silent(&s);
        skip();
    }
    begin(&sockets);
    add_address(&sockets, "127.0.0.1", s.port);
    add_address(&sockets, "127.0.0.1", s.port);
    add_address(&sockets, "127.0.0.1", s.port);
    assert_int_equal(imc_sockets_open(&sockets, "h", 1, &milliseconds), IMAPCONNECT_WANT_WRITE);
    assert_int_equal(milliseconds, 300);
    first = sockets.fd;
    milliseconds = 700;
    assert_int_equal(imc_sockets_open(&sockets, "h", 1, &milliseconds), IMAPCONNECT_WANT_WRITE);
    assert_int_equal(milliseconds, 100); /* of the first one's share */
    assert_int_equal(sockets.fd, first);
    milliseconds = 600;
    assert_int_equal(imc_sockets_open(&sockets, "h", 1, &milliseconds), IMAPCONNECT_WANT_WRITE);
    assert_int_equal(milliseconds, 300); /* the second one's */
    assert_int_equal(sockets.left, 1);
    second = sockets.fd;
    assert_true(second >= 0);
    milliseconds = 250; /* the caller came late: what is left is for the last one */
    assert_int_equal(imc_sockets_open(&sockets, "h", 1, &milliseconds), IMAPCONNECT_WANT_WRITE);
    assert_int_equal(milliseconds, 250);
    assert_int_equal(sockets.left, 0);
    milliseconds = 0;
    assert_int_equal(imc_sockets_open(&sockets, "h", 1, &milliseconds), IMAPCONNECT_E_CONNECT_TIMEOUT);
    assert_int_equal(sockets.fd, -1);
    imc_sockets_close(&sockets);
    end_silent(&s);
}

/* A numeric address is the only one. */
static void a_numeric_address_gets_all_the_time(void **state)
{
    imapconnect_sockets sockets;
    silent s;
    uint32_t milliseconds = 1000, later = 400;
    int first, second;

    (void)state;
    if (!make_silent(&s)) {
        end_silent(&s);
        skip();
    }
    begin(&sockets);
    first = imc_sockets_open(&sockets, "127.0.0.1", s.port, &milliseconds);
    second = imc_sockets_open(&sockets, "127.0.0.1", s.port, &later);
    imc_sockets_close(&sockets);
    end_silent(&s);
    assert_int_equal(first, IMAPCONNECT_WANT_WRITE);
    assert_int_equal(milliseconds, 1000);
    assert_int_equal(second, IMAPCONNECT_WANT_WRITE);
    assert_int_equal(later, 400);
}

/* The whole session against a server that never answers: it takes as long as it may, and not longer. */
static void a_session_gives_up_in_time(void **state)
{
    imapconnect_session session;
    imapconnect_config config;
    char server[32];
    silent s;
    uint32_t began;

    (void)state;
    if (!make_silent(&s)) {
        end_silent(&s);
        skip();
    }
    imapconnect_config_init(&config);
    config.timeout = 300;
    assert_int_equal(imapconnect_init(&session, &config), 0);
    sprintf(server, "127.0.0.1:%u", (unsigned)s.port);
    began = imc_sockets_clock(0);
    assert_int_equal(imapconnect(&session, server, "u", "p", 0, 0, 0, 0), IMAPCONNECT_E_CONNECT_TIMEOUT);
    assert_in_range(imc_sockets_clock(0) - began, 290, 1500);
    imapconnect_close(&session);
    end_silent(&s);
}

static void a_session_is_refused(void **state)
{
    imapconnect_session session;
    char server[32];

    (void)state;
    assert_int_equal(imapconnect_init(&session, 0), 0);
    sprintf(server, "127.0.0.1:%u", (unsigned)closed_port());
    assert_int_equal(imapconnect(&session, server, "u", "p", 0, 0, 0, 0), IMAPCONNECT_E_REFUSED);
    assert_int_equal(imapconnect_detail(&session), ECONNREFUSED);
    assert_string_equal(imapconnect_phase(&session), "connecting");
    assert_int_equal(imapconnect_socket(&session), -1);
    assert_int_equal(count_descriptors(), descriptors_before); /* also before it is closed */
    imapconnect_close(&session);
}

/* ---- numbers of the system ---- */

static void system_errors_have_codes(void **state)
{
    static const struct {
        int number, code;
    } cases[] = {{ECONNREFUSED, -10061},
                 {ETIMEDOUT, -10060},
                 {EHOSTUNREACH, -10065},
                 {ENETUNREACH, -10065},
                 {ECONNRESET, -10054},
                 {EPIPE, -10054},
                 {ENOMEM, -1010},
                 {EACCES, -1419},
                 {EBADF, -1419},
                 {EMFILE, -1419},
                 {0, -1419}};
    imapconnect_sockets sockets;
    size_t i;

    (void)state;
    begin(&sockets);
    for (i = 0; i < COUNT(cases); i++) {
        assert_int_equal(imc_sockets_error(&sockets, cases[i].number), cases[i].code);
        assert_int_equal(sockets.detail, cases[i].number);
    }
}

static void look_up_errors_have_codes(void **state)
{
    imapconnect_sockets sockets;

    (void)state;
    begin(&sockets);
    assert_int_equal(imc_sockets_lookup_error(&sockets, EAI_NONAME), -11001);
    assert_int_equal(imc_sockets_lookup_error(&sockets, EAI_AGAIN), -11002);
    assert_int_equal(imc_sockets_lookup_error(&sockets, EAI_FAIL), -11003);
    assert_int_equal(imc_sockets_lookup_error(&sockets, EAI_FAMILY), -11003);
    assert_int_equal(imc_sockets_lookup_error(&sockets, EAI_MEMORY), -1010);
#ifdef __GLIBC__
    assert_int_equal(imc_sockets_lookup_error(&sockets, -5), -11004); /* EAI_NODATA, of which POSIX knows nothing */
#endif
}

#define ON_LOOPBACK(test) cmocka_unit_test_setup_teardown(test, remember_descriptors, no_descriptor_is_left)

static const struct CMUnitTest tests[] = {
    ON_LOOPBACK(how_a_socket_is_set),
    ON_LOOPBACK(bytes_go_both_ways),
    ON_LOOPBACK(a_megabyte_comes_whole),
    ON_LOOPBACK(the_end_of_the_stream),
    ON_LOOPBACK(a_reset_is_not_an_end),
    ON_LOOPBACK(writing_to_a_dead_connection_raises_no_signal),
    ON_LOOPBACK(would_block),
    ON_LOOPBACK(a_wait_ends_when_something_is_possible),
    ON_LOOPBACK(a_signal_is_no_error),
    ON_LOOPBACK(the_clock_counts_milliseconds),
    ON_LOOPBACK(nobody_listens),
    ON_LOOPBACK(an_ipv6_address),
    ON_LOOPBACK(a_name_is_looked_up),
    ON_LOOPBACK(every_address_is_tried),
    ON_LOOPBACK(the_first_error_counts),
    ON_LOOPBACK(no_number_after_a_success),
    ON_LOOPBACK(the_number_below_the_error),
    ON_LOOPBACK(each_address_gets_its_share),
    ON_LOOPBACK(a_numeric_address_gets_all_the_time),
    ON_LOOPBACK(a_session_gives_up_in_time),
    ON_LOOPBACK(a_session_is_refused),
    ON_LOOPBACK(system_errors_have_codes),
    ON_LOOPBACK(look_up_errors_have_codes),
};
TEST_MAIN(tests)
