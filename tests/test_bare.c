/* The header without the platform's transport, and without the mechanisms of config.auth: a configuration that lacks a
   part of what the caller must bring then, or asks for what is left out, is refused, and a session that has all of it
   works. */

#define IMAPCONNECT_NO_SOCKETS
#define IMAPCONNECT_NO_SASL
#define IMAPCONNECT_IMPLEMENTATION
#include "../imapconnect.h"

#include "test.h"

static int opens;

static int open_here(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    (void)context;
    (void)host;
    (void)port;
    (void)milliseconds;
    opens++;
    return IMAPCONNECT_E_REFUSED;
}

static int read_here(void *context, void *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return IMAPCONNECT_CLOSED;
}

static int write_here(void *context, const void *bytes, size_t count)
{
    (void)context;
    (void)bytes;
    (void)count;
    return IMAPCONNECT_CLOSED;
}

static void close_here(void *context)
{
    (void)context;
}

static uint32_t clock_here(void *user)
{
    (void)user;
    return 0;
}

static void begin(imapconnect_config *config)
{
    imapconnect_config_init(config);
    config->transport.open = open_here;
    config->transport.read = read_here;
    config->transport.write = write_here;
    config->transport.close = close_here;
    config->clock = clock_here;
    opens = 0;
}

static int connect_with(const imapconnect_config *config)
{
    static imapconnect_session session;

    assert_int_equal(imapconnect_init(&session, config), 0);
    return imapconnect(&session, "imap.example.org", "joe", "secret", 0, 0, IMAPCONNECT_INSECURE, 0);
}

static void everything_is_there(void **state)
{
    imapconnect_config config;

    (void)state;
    begin(&config);
    assert_int_equal(connect_with(&config), IMAPCONNECT_E_REFUSED);
    assert_int_equal(opens, 1);
}

static void a_part_is_missing(void **state)
{
    imapconnect_config config;

    (void)state;
    begin(&config);
    config.clock = 0;
    assert_int_equal(connect_with(&config), IMAPCONNECT_E_PARAMETER);
    begin(&config);
    config.transport.open = 0;
    assert_int_equal(connect_with(&config), IMAPCONNECT_E_PARAMETER);
    begin(&config);
    config.transport.read = 0;
    assert_int_equal(connect_with(&config), IMAPCONNECT_E_PARAMETER);
    begin(&config);
    config.transport.write = 0;
    assert_int_equal(connect_with(&config), IMAPCONNECT_E_PARAMETER);
    begin(&config);
    config.transport.close = 0;
    assert_int_equal(connect_with(&config), IMAPCONNECT_E_PARAMETER);
    assert_int_equal(opens, 0);
}

static void a_mechanism_is_left_out(void **state)
{
    imapconnect_config config;

    (void)state;
    begin(&config);
    config.auth = IMAPCONNECT_AUTH_STRONGEST;
    assert_int_equal(connect_with(&config), IMAPCONNECT_E_VALUE);
    config.auth = IMAPCONNECT_AUTH_LOGIN; /* one that is there, but nobody could choose */
    assert_int_equal(connect_with(&config), IMAPCONNECT_E_VALUE);
    assert_int_equal(opens, 0);
}

static const struct CMUnitTest tests[] = {cmocka_unit_test(everything_is_there), cmocka_unit_test(a_part_is_missing),
                                          cmocka_unit_test(a_mechanism_is_left_out)};

TEST_MAIN(tests)
