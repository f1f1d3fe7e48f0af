/* imapconnect.h - opens an authenticated connection to an IMAP server, and carries out commands on it.

   One file, C99 or C++11, no heap of its own, no globals. wolfSSL is the only dependency. Version 0.1.0.
   Licence: MIT-0 or the Unlicense, as you like; the texts are at the end.

   ---- Part I: the manual -------------------------------------------------------------------------------

   Do this:

   1. Copy imapconnect.h into your project, and a CA certificate or a folder of them beside it.
   2. In exactly one C file:

          #define IMAPCONNECT_IMPLEMENTATION
          #include "imapconnect.h"

      Every other file that uses it has the #include alone.
   3. Link wolfSSL:  gcc -std=c99 -D_POSIX_C_SOURCE=200809L program.c -lwolfssl

   >>program

          #include <stdio.h>
          #define IMAPCONNECT_IMPLEMENTATION
          #include "imapconnect.h"

          int main(void)
          {
              char text[4096];
              const char *line = 0;
              imapconnect_config config;
              imapconnect_session imap;
              imapconnect_list responses;
              int status;

              imapconnect_config_init(&config);
              config.ca_path = "certs/cacerts";
              imapconnect_init(&imap, &config);
              imapconnect_list_init(&responses, text, sizeof text);

              status = imapconnect(&imap, "imap.example.org", "joe", "secret", 0, &responses, IMAPCONNECT_TLS,
                                   IMAPCONNECT_VERIFY);
              if (status >= 0)
                  status = imapconnect_command(&imap, "STATUS INBOX (MESSAGES UNSEEN)", &responses);
              if (status >= 0)
                  while ((line = imapconnect_list_next(&responses, line)) != 0)
                      puts(line);
              else
                  fprintf(stderr, "%d: %s\n", status, imapconnect_strerror(status));
              imapconnect_disconnect(&imap, 0);
              return status < 0;
          }

   Contents (search for the tag):

      Part I    this manual
      Part II   declarations: each name with what it does, once
      Part III  the implementation, from the bottom up; a room calls only rooms above it
          >>ground >>bytes >>codes >>sasl >>names >>lexer >>stream >>rows >>responses >>commands
          >>engine >>sockets >>x509 >>wolfssl >>session >>connect >>mailboxes >>messages >>search >>append >>idle
      Part IV   the licence

   Options. Define them before the #include; those marked * alike in every file of a program:

      IMAPCONNECT_IMPLEMENTATION    this file gets the implementation
      IMAPCONNECT_STATIC          * all functions are static, and private to the file
      IMAPCONNECT_API             * what stands before each function instead of `extern`
      IMAPCONNECT_CONFIG_H        * a header of yours with these options, included first
      IMAPCONNECT_READ_SIZE       * the read buffer in the session, 400 bytes; 16384 is faster for messages
      IMAPCONNECT_WRITE_SIZE      * the write buffer in the session, 512 bytes; a name in a row of LIST must fit
      IMAPCONNECT_LOG_SIZE        * the log line in the session, 48 bytes
      IMAPCONNECT_NO_TLS            no wolfSSL at all: `secure` must be 0, and there is neither CRAM-MD5 nor SCRAM
      IMAPCONNECT_NO_TLS_OPTIONS  * no config.tls: no certificate of ours, no pins, no session tickets
      IMAPCONNECT_NO_SOCKETS        no sockets and no clock: set config.transport and config.clock
      IMAPCONNECT_NO_STRINGS        codes without texts and names
      IMAPCONNECT_NO_COMMANDS     * only connect, disconnect, noop and command: leaves out all of the next five, too
      IMAPCONNECT_NO_MAILBOXES    * no LIST, CREATE, STATUS and what else is about mailboxes that are not open
      IMAPCONNECT_NO_MESSAGES     * no listing, receiving, flagging, copying, moving
      IMAPCONNECT_NO_SEARCH       * no SEARCH
      IMAPCONNECT_NO_APPEND       * no APPEND
      IMAPCONNECT_NO_IDLE         * no waiting for news
      IMAPCONNECT_NO_SASL         * config.auth is 0: CRAM-MD5 and LOGIN, in the documented order, and nothing else;
                                    and no imapconnect_reason()
      IMAPCONNECT_NO_SCRAM        * the other mechanisms, but not SCRAM, which is the largest of them
      IMAPCONNECT_WIPE(p, n)        overwrites memory so that the compiler cannot leave it out

   Security. `secure` 1 and 2 send nothing secret before TLS is up; 2 never goes on in clear text, whatever
   the server says. TLS is 1.2 or 1.3 with ECDHE and AEAD and nothing else, with `verify` off too. With it on
   the certificate must come from one of your CAs, be valid now, be signed with SHA-256 or better, and carry
   the host's name as dNSName (or its address as iPAddress); the common name does not count. Dates are checked
   against the system's clock: a device must set it first. With `secure` 0 LOGIN sends the password readable
   for everyone on the way, where the server allows it, as the document says: set config.refuse_cleartext and
   it does not. CRAM-MD5 hides the password only from those who do not guess: it is no substitute for TLS.

   Logging in. The documented order is CRAM-MD5, then LOGIN. Most of today's providers want something else: set
   config.auth to IMAPCONNECT_AUTH_STRONGEST, or to the mechanisms that you want. With OAUTHBEARER and XOAUTH2 the
   password is the access token. After an error imapconnect_reason() says what the server gave as its reason.

   config.tls adds three things to TLS. A certificate and key of yours, from file or flash, for servers that want to
   know who you are. Pins: the server's public key must be one of those that you name; with `verify` the rest holds,
   too, and without it the pin alone decides. Tickets: the next handshake with the same server is a short one, without
   certificates. Nothing is resumed unless you ask for it, see imapconnect_tls_options.

   Commands. Each has a function, from imapconnect_select_mailbox() to imapconnect_idle(), which takes and gives
   numbers, names and rows; imapconnect_command() sends anything else. Rows come one by one and messages piece by
   piece, as they arrive: a mailbox or a message of any size needs no more memory than an empty one. Mailbox names
   are UTF-8. Know a message by its UID: sequence numbers move whenever somebody expunges.

   Memory. The session is one structure, about 1.5 KB on a 32-bit machine and 1.7 KB on a 64-bit one; it holds
   both buffers. Messages and lines of any length pass through it. wolfSSL takes its own memory from its own
   allocator.

   Non-blocking. Set config.nonblocking, call any function, and while the result is IMAPCONNECT_PENDING:
   imapconnect_wants() says what to wait for, imapconnect_step() goes on. The same code runs in both modes.

   Firmware. Define IMAPCONNECT_NO_SOCKETS and write five functions, see imapconnect_transport; and a clock.
   Put the CA as DER into flash: config.ca_data, ca_size, ca_format = IMAPCONNECT_DER. Set the time before you
   connect: to a clock that was never set no certificate is valid yet. Give wolfSSL real random numbers. Feed the
   watchdog in config.keep_going; a handshake is cryptography in one piece, and feeds nothing meanwhile. What you do
   not use is left out by the switches above. examples/firmware in the project is a whole program of this kind.

   Threads. A session belongs to one thread at a time; two sessions share nothing. wolfSSL_Init() races with
   itself: call it once before the first thread. wolfSSL_Cleanup() is never called here.

   Errors. Below zero. NO and BAD to a command leave the session as it was, and so do the others for which
   imapconnect_code_is_fatal() is 0: an argument that cannot be sent, say. Every other error ends it, and every later
   call returns that same error and sends nothing, until imapconnect_disconnect() or imapconnect_close().

   Limits. User name and password 255 bytes each, a token 16 KB, host 253; before the login 128 KB and 1,024 lines
   a reply; the name of a mailbox in a row of LIST some 380 bytes. User names and passwords of SCRAM go as they are,
   without SASLprep: write them as the server has them. No proxy, no Winsock yet. IMAP4rev1 only. */

/* ---- Part II: declarations ------------------------------------------------------------------------- */

#ifndef IMAPCONNECT_H
#define IMAPCONNECT_H

#ifdef IMAPCONNECT_CONFIG_H
#include IMAPCONNECT_CONFIG_H
#endif

#include <stddef.h>
#include <stdint.h>

#define IMAPCONNECT_VERSION "0.1.0"

#if defined(IMAPCONNECT_NO_SASL) && !defined(IMAPCONNECT_NO_SCRAM)
#define IMAPCONNECT_NO_SCRAM
#endif

#ifdef IMAPCONNECT_NO_COMMANDS
#undef IMAPCONNECT_NO_MAILBOXES
#undef IMAPCONNECT_NO_MESSAGES
#undef IMAPCONNECT_NO_SEARCH
#undef IMAPCONNECT_NO_APPEND
#undef IMAPCONNECT_NO_IDLE
#define IMAPCONNECT_NO_MAILBOXES
#define IMAPCONNECT_NO_MESSAGES
#define IMAPCONNECT_NO_SEARCH
#define IMAPCONNECT_NO_APPEND
#define IMAPCONNECT_NO_IDLE
#endif

#ifndef IMAPCONNECT_API
#if defined(IMAPCONNECT_STATIC) && defined(__GNUC__)
#define IMAPCONNECT_API __attribute__((unused)) static
#elif defined(IMAPCONNECT_STATIC)
#define IMAPCONNECT_API static
#else
#define IMAPCONNECT_API extern
#endif
#endif

/* Limits. The first three are part of imapconnect_session: set them alike in every file of a program. When two
   files disagree, imapconnect_init() returns IMAPCONNECT_E_LAYOUT and nothing is opened. */

#ifndef IMAPCONNECT_READ_SIZE
#define IMAPCONNECT_READ_SIZE 400 /* bytes read at a time, 64 to 65535 */
#endif
#ifndef IMAPCONNECT_LOG_SIZE
#define IMAPCONNECT_LOG_SIZE 48 /* a log line longer than this comes in pieces, 16 to 255 */
#endif
#ifndef IMAPCONNECT_WRITE_SIZE
#define IMAPCONNECT_WRITE_SIZE 512 /* the transmit buffer; also holds a challenge, or a row, 512 to 65535 */
#endif
#define IMAPCONNECT_MAX_ARGUMENT 255   /* bytes of a user name or a password */
#define IMAPCONNECT_MAX_TOKEN    16384 /* bytes of a token, where config.auth names no other mechanisms */
#define IMAPCONNECT_MAX_HOST     253   /* bytes of a host name, RFC 1035 section 2.3.4 */
#define IMAPCONNECT_TEXT_SIZE    72    /* what is kept of the text of the server's last answer */
#define IMAPCONNECT_CODE_SIZE    32    /* what is kept of its response code */
#define IMAPCONNECT_WORD_SIZE    24    /* the longest atom that means something to the client */
#define IMAPCONNECT_TAG_SIZE     12    /* "a4294967295" */

#ifdef __cplusplus
extern "C" {
#endif

/* ---- values of the parameters `secure` and `verify` ---- */

#define IMAPCONNECT_INSECURE  0 /* not encrypted: everyone on the way can read it */
#define IMAPCONNECT_TLS       1 /* TLS from the first byte, port 993, RFC 8314 */
#define IMAPCONNECT_STARTTLS  2 /* in clear at first, port 143; nothing secret before TLS is up */
#define IMAPCONNECT_NO_VERIFY 0 /* encrypted, but to whom is not known */
#define IMAPCONNECT_VERIFY    1 /* no connection unless the certificate proves the server's name */

/* ---- codes ----

   Every number that a function can return, its name, whether it ends the session, and its text. The numbers
   down to -1304, and below -10000, are those of the documented appendix; from -1400 down they are our own.
   The third column is 1 when the session is over: then every later call returns that same number and sends
   nothing, until the session is closed. While connecting, every error ends the session.

   Near synonyms: -501 says that a parameter is missing, -503 that one has a value which cannot be used.
   -1269 is about a parameter of yours that is too long, -1032 about a field of the server's. -523, -1292 to
   -1294, -1296 and -1304 are never returned: what breaks the grammar is -1260 everywhere. */

#define IMAPCONNECT_CODES(X)                                                                                     \
    X(IMAPCONNECT_E_PARAMETER, -501, 0, "a parameter is missing")                                                \
    X(IMAPCONNECT_E_VALUE, -503, 0, "a parameter has a value that cannot be used")                               \
    X(IMAPCONNECT_E_NOT_OPEN, -509, 0, "the session is not open")                                                \
    X(IMAPCONNECT_E_CANCELLED, -516, 1, "cancelled by the caller")                                               \
    X(IMAPCONNECT_E_TIMEOUT, -522, 1, "the server did not answer within the time limit")                         \
    X(IMAPCONNECT_E_FORMAT, -523, 1, "badly formatted response")                                                 \
    X(IMAPCONNECT_E_MEMORY, -1010, 1, "out of memory")                                                           \
    X(IMAPCONNECT_E_NO_CA, -1027, 1, "no CA certificate found: the folder is missing or holds none")             \
    X(IMAPCONNECT_E_CA_FILE, -1029, 1, "the CA file or buffer cannot be read or holds no certificate")           \
    X(IMAPCONNECT_E_TLS, -1031, 1, "a secure connection could not be established")                               \
    X(IMAPCONNECT_E_FIELD_LENGTH, -1032, 1, "a field from the server is too long for its buffer")                \
    X(IMAPCONNECT_CLOSED, -1033, 1, "the server closed the connection")                                          \
    X(IMAPCONNECT_E_CONNECT_TIMEOUT, -1034, 1, "no connection within the time limit")                            \
    X(IMAPCONNECT_E_RESPONSE, -1260, 1, "the server sent something that is not IMAP")                            \
    X(IMAPCONNECT_E_TAG, -1261, 1, "the server answered a command that was not sent")                            \
    X(IMAPCONNECT_E_GREETING, -1262, 1, "the greeting is not that of an IMAP server")                            \
    X(IMAPCONNECT_E_GREETING_BYE, -1263, 1, "the server refuses the connection")                                 \
    X(IMAPCONNECT_E_NO_LOGIN, -1264, 1, "the server offers neither CRAM-MD5 nor LOGIN")                          \
    X(IMAPCONNECT_E_NO_STARTTLS, -1265, 1, "the server does not offer STARTTLS, so no secure connection")        \
    X(IMAPCONNECT_E_CAPABILITY, -1266, 1, "the server did not answer CAPABILITY as it should")                   \
    X(IMAPCONNECT_E_NOT_IMAP4REV1, -1267, 1, "the server does not support IMAP4rev1")                            \
    X(IMAPCONNECT_E_STARTTLS, -1268, 1, "the server refused STARTTLS, so no secure connection")                  \
    X(IMAPCONNECT_E_TOO_LONG, -1269, 0, "a parameter is too long")                                               \
    X(IMAPCONNECT_E_LOGIN_REJECTED, -1270, 1, "login rejected: wrong user name or password")                     \
    X(IMAPCONNECT_E_LOGIN, -1271, 1, "the server did not answer LOGIN as it should")                             \
    X(IMAPCONNECT_E_LOGOUT, -1272, 1, "the server did not answer LOGOUT as it should; the connection is closed") \
    X(IMAPCONNECT_E_SECURE, -1273, 1, "`secure` is not 0, 1 or 2")                                               \
    X(IMAPCONNECT_E_CRAM_MD5, -1274, 1, "the server did not answer AUTHENTICATE CRAM-MD5 as it should")          \
    X(IMAPCONNECT_E_CHALLENGE, -1275, 1, "the CRAM-MD5 challenge is not base64")                                 \
    X(IMAPCONNECT_E_LIST, -1276, 0, "the server refused LIST or LSUB")                                           \
    X(IMAPCONNECT_E_SELECT, -1277, 0, "the server refused SELECT")                                               \
    X(IMAPCONNECT_E_NO_LIST, -1278, 0, "the parameter for the output list is missing")                           \
    X(IMAPCONNECT_E_SUBSCRIBE, -1279, 0, "the server refused SUBSCRIBE")                                         \
    X(IMAPCONNECT_E_UNSUBSCRIBE, -1280, 0, "the server refused UNSUBSCRIBE")                                     \
    X(IMAPCONNECT_E_STORE, -1281, 0, "the server refused STORE")                                                 \
    X(IMAPCONNECT_E_RENAME, -1282, 0, "the server refused RENAME")                                               \
    X(IMAPCONNECT_E_EXPUNGE, -1283, 0, "the server refused EXPUNGE")                                             \
    X(IMAPCONNECT_E_DELETE, -1284, 0, "the server refused DELETE")                                               \
    X(IMAPCONNECT_E_CREATE, -1285, 0, "the server refused CREATE")                                               \
    X(IMAPCONNECT_E_COPY, -1286, 0, "the server refused COPY")                                                   \
    X(IMAPCONNECT_E_FETCH_SEQUENCE, -1287, 1, "listing messages: wrong sequence number")                         \
    X(IMAPCONNECT_E_FETCH_REPLY, -1288, 0, "listing messages: the server refused FETCH")                         \
    X(IMAPCONNECT_E_FETCH_NO_FLAGS, -1289, 1, "listing messages: no flags")                                      \
    X(IMAPCONNECT_E_FETCH_NO_SIZE, -1290, 1, "listing messages: no size")                                        \
    X(IMAPCONNECT_E_FETCH_NO_UID, -1291, 1, "listing messages: no UID")                                          \
    X(IMAPCONNECT_E_FETCH_FLAGS_OPEN, -1292, 1, "listing messages: the flags are not closed")                    \
    X(IMAPCONNECT_E_FETCH_INTEGER, -1293, 1, "listing messages: invalid integer")                                \
    X(IMAPCONNECT_E_FETCH_OPEN, -1294, 1, "listing messages: FETCH is not closed")                               \
    X(IMAPCONNECT_E_FETCH_NO_DATE, -1295, 1, "listing messages: no INTERNALDATE")                                \
    X(IMAPCONNECT_E_FETCH_DATE_QUOTES, -1296, 1, "listing messages: INTERNALDATE is not quoted")                 \
    X(IMAPCONNECT_E_FETCH_INCOMPLETE, -1297, 0, "listing messages: the server left out messages")                \
    X(IMAPCONNECT_E_RECEIVE, -1298, 0, "receiving: the server refused FETCH")                                    \
    X(IMAPCONNECT_E_RECEIVE_LENGTH, -1299, 1, "receiving: bad message length")                                   \
    X(IMAPCONNECT_E_RECEIVE_ITEM, -1300, 1, "receiving: unknown data item")                                      \
    X(IMAPCONNECT_E_NOOP, -1301, 0, "the server refused NOOP")                                                   \
    X(IMAPCONNECT_E_CHECK, -1302, 0, "the server refused CHECK")                                                 \
    X(IMAPCONNECT_E_FETCH, -1304, 1, "FETCH reply invalid")                                                      \
    X(IMAPCONNECT_E_RESET, -10054, 1, "the connection was reset")                                                \
    X(IMAPCONNECT_E_TIMED_OUT, -10060, 1, "the system gave up connecting")                                       \
    X(IMAPCONNECT_E_REFUSED, -10061, 1, "connection refused: no server listens there")                           \
    X(IMAPCONNECT_E_NO_ROUTE, -10065, 1, "no route to the server")                                               \
    X(IMAPCONNECT_E_HOST_NOT_FOUND, -11001, 1, "host not found")                                                 \
    X(IMAPCONNECT_E_LOOKUP_AGAIN, -11002, 1, "the look-up of the host failed for now: try again")                \
    X(IMAPCONNECT_E_LOOKUP_FAILED, -11003, 1, "the look-up of the host failed")                                  \
    X(IMAPCONNECT_E_NO_ADDRESS, -11004, 1, "the host has no address")                                            \
    X(IMAPCONNECT_PENDING, -1400, 0, "in progress: not an error; call imapconnect_step()")                       \
    X(IMAPCONNECT_WANT_READ, -1401, 0, "of a transport: nothing to read yet")                                    \
    X(IMAPCONNECT_WANT_WRITE, -1402, 0, "of a transport: no room to write yet")                                  \
    X(IMAPCONNECT_E_BUSY, -1403, 0, "another call on this session is in progress")                               \
    X(IMAPCONNECT_E_OPEN, -1404, 0, "the session is open already: disconnect first")                             \
    X(IMAPCONNECT_E_INJECTION, -1405, 1, "bytes behind the OK to STARTTLS: somebody is tampering")               \
    X(IMAPCONNECT_E_PREAUTH, -1406, 1, "PREAUTH before TLS, so STARTTLS is not possible: perhaps tampering")     \
    X(IMAPCONNECT_E_NAME, -1407, 1, "the certificate belongs to another server")                                 \
    X(IMAPCONNECT_E_EXPIRED, -1408, 1, "a certificate has expired")                                              \
    X(IMAPCONNECT_E_NOT_YET_VALID, -1409, 1, "a certificate is not valid yet: is the clock right?")              \
    X(IMAPCONNECT_E_UNTRUSTED, -1410, 1, "the certificate is not from a trusted CA")                             \
    X(IMAPCONNECT_E_NO_CERTIFICATE, -1411, 1, "the server has no certificate")                                   \
    X(IMAPCONNECT_E_WEAK, -1412, 1, "protocol version, cipher suite, key or signature is too weak")              \
    X(IMAPCONNECT_E_CLEARTEXT, -1413, 1, "the password would go in clear, and the configuration refuses that")   \
    X(IMAPCONNECT_E_NO, -1414, 0, "the server answered NO")                                                      \
    X(IMAPCONNECT_E_BAD, -1415, 0, "the server answered BAD")                                                    \
    X(IMAPCONNECT_E_BYE, -1416, 1, "the server said BYE")                                                        \
    X(IMAPCONNECT_E_LIMIT, -1417, 1, "the server sends more than the limits allow")                              \
    X(IMAPCONNECT_E_TRUNCATED, -1418, 1, "the TLS connection was cut off, not closed: perhaps tampering")        \
    X(IMAPCONNECT_E_TRANSPORT, -1419, 1, "the transport failed or broke its contract")                           \
    X(IMAPCONNECT_E_USE_FUNCTION, -1420, 0,                                                                      \
      "this command changes the session: use imapconnect() for LOGIN, AUTHENTICATE and STARTTLS, "               \
      "imapconnect_disconnect() for LOGOUT, imapconnect_enable() and imapconnect_idle(); COMPRESS is not there") \
    X(IMAPCONNECT_E_LITERAL, -1421, 0,                                                                           \
      "a command text must not end in a literal's size: imapconnect_command() sends one line")                   \
    X(IMAPCONNECT_E_NO_TLS, -1422, 1, "this build has no TLS: `secure` must be 0")                               \
    X(IMAPCONNECT_E_LAYOUT, -1423, 0, "this file and the implementation were compiled with other limits")        \
    X(IMAPCONNECT_E_NO_MESSAGE, -1424, 0, "there is no message with this UID")                                   \
    X(IMAPCONNECT_E_READ_ONLY, -1425, 0, "the mailbox is open to read only")                                     \
    X(IMAPCONNECT_E_PIN, -1426, 1, "the server's public key is none of those that are pinned")                   \
    X(IMAPCONNECT_E_OWN_CERTIFICATE, -1427, 1, "our own certificate or its key cannot be used")                  \
    X(IMAPCONNECT_E_TICKET, -1428, 1,                                                                            \
      "the session ticket cannot be used, or is for something else: connect without")                            \
    X(IMAPCONNECT_E_AUTHENTICATE, -1430, 1, "the server did not answer AUTHENTICATE as it should")               \
    X(IMAPCONNECT_E_NO_MECHANISM, -1431, 1, "the server offers none of the mechanisms in config.auth")           \
    X(IMAPCONNECT_E_SCRAM, -1432, 1, "the server does not know the password, or somebody is tampering")          \
    X(IMAPCONNECT_E_SCRAM_ITERATIONS, -1433, 1, "the server wants too few or too many iterations of SCRAM")      \
    X(IMAPCONNECT_E_TOKEN, -1434, 1, "the token has expired or is not valid: get a new one")                     \
    X(IMAPCONNECT_E_RANDOM, -1435, 1, "wolfSSL has no random numbers")

enum imapconnect_code {
#define IMAPCONNECT_CODE_VALUE(name, number, fatal, text) name = number,
    IMAPCONNECT_CODES(IMAPCONNECT_CODE_VALUE)
#undef IMAPCONNECT_CODE_VALUE
        IMAPCONNECT_OK = 0
};

/* One sentence for a code, in English, static. For a number that is none of ours: "unknown code". Without the
   texts (IMAPCONNECT_NO_STRINGS) always "". Any thread. */
IMAPCONNECT_API const char *imapconnect_strerror(int code);

/* The name of a code as it stands in a program, "IMAPCONNECT_E_TIMEOUT", static; "" for a number that is none
   of ours, and without the texts. Any thread. */
IMAPCONNECT_API const char *imapconnect_code_name(int code);

/* 1 when a code ends the session once connected, 0 when the session goes on. Any thread. */
IMAPCONNECT_API int imapconnect_code_is_fatal(int code);

/* ---- the transport ----

   Five functions and a context. All zero means the platform's sockets, where the header has them. A transport
   of your own (lwIP, a modem, an array in a test) sets all but `wait`; it MUST keep this contract:

   - None of them blocks for longer than you like the whole program to wait. One that cannot go on returns
     IMAPCONNECT_WANT_READ or IMAPCONNECT_WANT_WRITE and is called again later with the same arguments.
   - `read` and `write` return how many bytes they moved, more than 0 and at most `count`. 0 is forbidden and
     ends the session (IMAPCONNECT_E_TRANSPORT): platforms give it opposite meanings. The peer's end of the
     stream is IMAPCONNECT_CLOSED. Every other failure is a negative number: one of the table that ends a session
     comes through to the caller as it is (IMAPCONNECT_E_RESET, say), any other as IMAPCONNECT_E_TRANSPORT.
   - `open` returns a number from 0 up, which imapconnect() hands to its caller as the socket; WANT, or an
     error. `host` is a name or a numeric address without brackets, NUL-terminated, and valid for the call
     alone. `*milliseconds` holds what is left of the time limit; when `open` answers WANT it may lower the
     number to be called again that soon.
   - `wait` blocks until the connection is ready for what the bits IMAPCONNECT_READABLE, IMAPCONNECT_WRITABLE
     ask, or the time has passed, and returns 0 in both cases; a negative number is an error. It may return
     early. When it is 0, a blocking session calls read and write in turn instead.
   - `close` is called once for each `open` that was called, also when that `open` failed or never ended. */

#define IMAPCONNECT_READABLE 1
#define IMAPCONNECT_WRITABLE 2

typedef struct imapconnect_transport {
    void *context; /* first argument of all five */
    int (*open)(void *context, const char *host, uint16_t port, uint32_t *milliseconds);
    int (*read)(void *context, void *bytes, size_t count);
    int (*write)(void *context, const void *bytes, size_t count);
    int (*wait)(void *context, int what, uint32_t milliseconds);
    void (*close)(void *context);
} imapconnect_transport;

/* ---- the response list ----

   What the server sent while a command ran, one NUL-terminated text for each response, in a buffer of the
   caller's. CRLF is left out; so are the bytes of a literal, whose {size} stays. Every call that is given a
   list empties it first, unless another call is in progress. When the buffer is full, what came first is kept,
   `truncated` is set, and the protocol goes on in step.

       const char *line = 0;
       while ((line = imapconnect_list_next(&list, line)) != 0) puts(line);                                  */

typedef struct imapconnect_list {
    char *text;     /* the caller's buffer */
    size_t size;    /* its size in bytes */
    size_t used;    /* bytes in use, NULs included */
    size_t count;   /* responses in it */
    int truncated;  /* 1: something was left out */
    int cut;        /* 1: the last entry is not whole */
    int unfinished; /* 1 while the end of the last entry has not arrived */
} imapconnect_list;

/* Makes an empty list over `size` bytes at `text`, which stay the caller's and must outlive the list.
   A list belongs to one thread at a time. */
IMAPCONNECT_API void imapconnect_list_init(imapconnect_list *list, char *text, size_t size);

/* The entry after `entry`, the first one for 0, and 0 after the last. */
IMAPCONNECT_API const char *imapconnect_list_next(const imapconnect_list *list, const char *entry);

/* ---- callbacks ---- */

/* `direction` of the log procedure. A line longer than IMAPCONNECT_LOG_SIZE comes in pieces, and each of
   them but the last has the bit IMAPCONNECT_LOG_MORE set too. */
#define IMAPCONNECT_LOG_SENT     1 /* the client's line */
#define IMAPCONNECT_LOG_RECEIVED 2 /* the server's line */
#define IMAPCONNECT_LOG_NOTE     4 /* a remark of the library's own: the cipher suite, once TLS is up */
#define IMAPCONNECT_LOG_MORE     8

/* The log procedure (the document's stsproc). `bytes` is a line without its CRLF, `count` bytes long, not
   NUL-terminated, and valid for the call alone: printable ASCII only, since any other byte is written as
   \xNN. Secrets are never in it: "***" stands for them. The bytes of literals from the server are left out. What the
   server says during SCRAM is in it; who has that can try passwords on it, as with a stored hash.
   `user` is config.user. Return 0 to go on; anything else cancels the session (IMAPCONNECT_E_CANCELLED), and what is
   left of the line may still come. */
typedef int (*imapconnect_log)(void *user, int direction, const char *bytes, size_t count);

/* `event` of config.on_response. Every byte of every response comes once, in order, unaltered. */
#define IMAPCONNECT_LINE          1 /* bytes of a line; one line may come in many calls */
#define IMAPCONNECT_LINE_END      2 /* `bytes` is the CRLF that ends the response */
#define IMAPCONNECT_LITERAL_BEGIN 3 /* `bytes` is the CRLF behind "{n}"; `count` is n, the literal's size */
#define IMAPCONNECT_LITERAL       4 /* bytes of the literal */
#define IMAPCONNECT_LITERAL_END   5 /* the literal is whole and its line goes on; no bytes */
#define IMAPCONNECT_RESTART       6 /* STARTTLS is done: forget all that came before, nobody vouches for it */

/* ---- what commands hand out, and what they take ----

   Rows come one by one while the server sends them, so that a mailbox of any size passes through constant memory. A
   row, and what it points to, is valid for the call alone. `user` of these is the parameter of the function that they
   are given to, not config.user. */

/* The system flags of a message, each 0 or 1. RFC 3501 section 2.3.2. */
typedef struct imapconnect_flags {
    uint8_t answered;
    uint8_t deleted;
    uint8_t draft;
    uint8_t flagged;
    uint8_t recent; /* the server's to set, not yours */
    uint8_t seen;
    uint8_t keywords; /* of permanent flags: "\*", new keywords can be made */
} imapconnect_flags;

/* What SELECT and EXAMINE tell. What the server leaves out is 0. RFC 3501 section 6.3.1. */
typedef struct imapconnect_selection {
    uint32_t messages;
    uint32_t recent;
    uint32_t uidnext;
    uint32_t uidvalidity; /* when it changes, every UID that you remember is worthless */
    uint32_t unseen;      /* sequence number of the first unseen message */
    imapconnect_flags flags;
    imapconnect_flags permanent_flags; /* can be changed for good; all when the server does not say */
    uint8_t read_only;
} imapconnect_selection;

/* What STATUS tells. RFC 3501 section 6.3.10. */
typedef struct imapconnect_status {
    uint32_t messages;
    uint32_t recent;
    uint32_t uidnext;
    uint32_t uidvalidity;
    uint32_t unseen; /* how many messages are unseen: here it is a count */
} imapconnect_status;

/* A row of LIST or LSUB: the document's seven columns. RFC 3501 section 7.2.2, RFC 3348.

   Names are UTF-8. One that is not canonical modified UTF-7 on the wire cannot be turned into UTF-8 and back: it is
   handed over as it came, behind the byte 0xFF, which no UTF-8 text holds, and `raw` is 1. Every function takes such
   a name, too, and sends it unchanged: pass `name` back as it is, and show a person name + 1. */
typedef struct imapconnect_mailbox {
    const char *name;    /* MailboxName */
    char separator;      /* between the levels of a name; 0: there are no levels */
    int8_t has_children; /* 1 yes, 0 no, -1 the server does not say */
    uint8_t no_inferiors;
    uint8_t no_select;
    uint8_t marked;
    uint8_t unmarked;
    uint8_t raw; /* 1: `name` is not UTF-8, see above */
} imapconnect_mailbox;

/* A row of NAMESPACE. RFC 2342. */
typedef struct imapconnect_namespace {
    const char *prefix; /* UTF-8, or raw like a mailbox name */
    char separator;     /* 0: there are no levels */
    uint8_t kind;       /* 0 your own mailboxes, 1 those of other users, 2 shared ones */
} imapconnect_namespace;

/* A row of imapconnect_list_messages(): the document's nine columns, and the sequence number. */
typedef struct imapconnect_message {
    uint32_t sequence;
    uint32_t uid;
    uint32_t size;          /* bytes */
    char internal_date[27]; /* when it arrived, "17-Jul-1996 02:44:25 -0700" */
    imapconnect_flags flags;
} imapconnect_message;

/* These take the rows. Return 0 to go on; anything else cancels the session (IMAPCONNECT_E_CANCELLED), since IMAP
   cannot abort a command. */
typedef int (*imapconnect_on_mailbox)(void *user, const imapconnect_mailbox *row);
typedef int (*imapconnect_on_namespace)(void *user, const imapconnect_namespace *row);
typedef int (*imapconnect_on_message)(void *user, const imapconnect_message *row);
typedef int (*imapconnect_on_uid)(void *user, uint32_t uid);

/* Takes the bytes of a message, as many as there are just now, at least one. Return 0 to go on; anything else cancels
   the session. */
typedef int (*imapconnect_sink)(void *user, const void *bytes, size_t count);

/* Gives the bytes of a message to be stored: writes at least one and at most `count` of them to `bytes`, and returns
   how many; anything else cancels the session, since the server waits for as many as were announced. */
typedef int (*imapconnect_source)(void *user, void *bytes, size_t count);

/* `what` happened while imapconnect_idle() waited, and its `number`. */
#define IMAPCONNECT_NEWS_EXISTS  1 /* the mailbox now has `number` messages */
#define IMAPCONNECT_NEWS_EXPUNGE 2 /* message `number` is gone, and those behind it have moved up by one */
#define IMAPCONNECT_NEWS_RECENT  3 /* `number` messages are recent */
#define IMAPCONNECT_NEWS_FLAGS   4 /* the flags of message `number` have changed */

/* Hears the news. Return 0 to wait for more; anything else ends the wait, and the session goes on. What the server says
   until the wait has ended is told, too, so that no EXPUNGE is missed. */
typedef int (*imapconnect_on_news)(void *user, int what, uint32_t number);

/* Collectors, for who wants all rows in an array: an imapconnect_on_message and an imapconnect_on_mailbox, whose
   `user` is the structure. They keep as many rows as fit, and count them all: when `count` is more than `size`, or
   `text_used` more than `text_size`, something was left out, and a row without its name has name 0. */
typedef struct imapconnect_messages {
    imapconnect_message *rows; /* yours */
    size_t size;               /* of `rows`, in rows */
    size_t count;              /* set it to 0 before */
} imapconnect_messages;

typedef struct imapconnect_mailboxes {
    imapconnect_mailbox *rows;
    size_t size;
    size_t count; /* set it to 0 before */
    char *text;   /* yours, for the names */
    size_t text_size;
    size_t text_used; /* set it to 0 before */
} imapconnect_mailboxes;

/* ---- the configuration ---- */

#define IMAPCONNECT_PEM 1 /* config.ca_format, and that of config.tls; the numbers are wolfSSL's */
#define IMAPCONNECT_DER 2

/* config.auth: 0, or the mechanisms that may be tried, as a sum. Of those that the server offers, the first in this
   order goes first; after a NO the next one, each once and three at the most, since servers count and lock. */
#define IMAPCONNECT_AUTH_AUTO               0     /* the documented order, CRAM-MD5 and then LOGIN */
#define IMAPCONNECT_AUTH_EXTERNAL           0x001 /* a certificate of yours; RFC 4422 appendix A */
#define IMAPCONNECT_AUTH_OAUTHBEARER        0x002 /* the password is an access token; RFC 7628 */
#define IMAPCONNECT_AUTH_XOAUTH2            0x004 /* the same, as Google and Microsoft want it */
#define IMAPCONNECT_AUTH_SCRAM_SHA_256_PLUS 0x008 /* bound to the TLS connection; RFC 7677, RFC 9266 */
#define IMAPCONNECT_AUTH_SCRAM_SHA_256      0x010 /* RFC 7677; as -PLUS where both sides can do that */
#define IMAPCONNECT_AUTH_SCRAM_SHA_1        0x020 /* RFC 5802 */
#define IMAPCONNECT_AUTH_CRAM_MD5           0x040 /* RFC 2195 */
#define IMAPCONNECT_AUTH_PLAIN              0x080 /* RFC 4616 */
#define IMAPCONNECT_AUTH_LOGIN              0x100 /* the LOGIN command; RFC 3501 section 6.2.3 */
#define IMAPCONNECT_AUTH_STRONGEST          0x1f8 /* all that take a password */
/* Those that show the password or a token to who reads the line, EXTERNAL, PLAIN, LOGIN and the tokens, are used inside
   TLS alone, unless this is added, too. */
#define IMAPCONNECT_AUTH_IN_CLEAR 0x1000

struct WOLFSSL_CTX; /* wolfSSL's, of which this part needs the names alone */
struct WOLFSSL;
struct addrinfo;

#ifndef IMAPCONNECT_NO_TLS_OPTIONS

#define IMAPCONNECT_PIN_SIZE 32 /* bytes of a pin */

/* config.tls: what few programs need of TLS. Set all to zero first (= {0}), then what you need; this and what it points
   to must outlive the session, and not change while it connects. Any number of sessions may share it, as long as it
   holds no ticket. It has no effect with IMAPCONNECT_INSECURE. */
typedef struct imapconnect_tls_options {
    /* A certificate of ours and its key, for a server that asks for one (RFC 8446 section 4.3.2). From buffers, in
       flash say, or from files; not encrypted. PEM: the certificate first, then those that lead to the CA that the
       server knows. RSA from 2048 bits, ECDSA from P-256. With TLS 1.2 everyone on the way can read the certificate.
       What cannot be loaded is IMAPCONNECT_E_OWN_CERTIFICATE before anything is sent; so is the RSA key of another
       one. An EC key of another one goes unnoticed in wolfSSL 5.5, and the server refuses it. */
    const void *cert_data;
    size_t cert_size;
    const void *key_data;
    size_t key_size;
    const char *cert_path; /* where cert_data is 0 */
    const char *key_path;
    int format; /* of all four: IMAPCONNECT_DER; IMAPCONNECT_PEM or 0 */

    /* Pins, of IMAPCONNECT_PIN_SIZE bytes each, one behind the other: SHA-256 of the public key in the server's own
       certificate, of its SubjectPublicKeyInfo in DER, as in RFC 7469 section 2.4. One of them must fit, or the
       handshake ends with IMAPCONNECT_E_PIN; pins without their number, or a number without pins, is
       IMAPCONNECT_E_PARAMETER. Name the next key beside the present one, and it can be rolled. With IMAPCONNECT_VERIFY
       both must hold, the certificate and the pin. With IMAPCONNECT_NO_VERIFY the pin alone decides: the certificate may
       be self-signed, expired and for another name, and no CA is needed. To get one:
       openssl x509 -pubkey -noout | openssl pkey -pubin -outform DER | openssl dgst -sha256 -binary */
    const uint8_t *pins;
    size_t pin_count;

    /* 1: imapconnect_ticket() will give a ticket. 0 and no ticket: nothing is ever resumed. */
    int resume;
    /* What imapconnect_ticket() gave, to resume that session; 0 for none. It is taken back for the same host, port,
       `secure`, `verify`, pins, own certificate and CAs (cert_data and ca_data, or else the paths; not what a wolfssl_ctx
       trusts) by the same build of wolfSSL alone; anything else, and one that has changed by a bit, is
       IMAPCONNECT_E_TICKET before anything is sent. It is used for a day after the last full handshake, and not on the
       last day of a certificate or later; then, and where the server does not want it, the handshake is a full one and
       verifies all. Should that fail because of the ticket, it is IMAPCONNECT_E_TICKET, too: forget it, and connect
       without. */
    const void *ticket;
    size_t ticket_size;
} imapconnect_tls_options;

#endif

/* Zero is a default that works for every member. imapconnect_init() copies the structure, not what its
   pointers point to: that must outlive the session. */
typedef struct imapconnect_config {
    void *user; /* handed to every callback here and to the log procedure */

    /* Called at least once a second while a blocking call waits, and now and then while it does not: the place to feed
       a watchdog. Return 0 to go on; anything else cancels the session. Not called while the platform looks up a
       name. */
    int (*keep_going)(void *user);

    /* Sees every byte that the server sends as a response, see IMAPCONNECT_LINE. Return 0 to go on; anything
       else cancels the session, and the end of the line may still come. `bytes` is valid for the call alone. */
    int (*on_response)(void *user, int event, const char *bytes, size_t count);

    /* Milliseconds from any start, may wrap. 0: the platform's clock, which never goes back. */
    uint32_t (*clock)(void *user);

    imapconnect_transport transport; /* all zero: the platform's sockets */

    /* Trusted CA certificates, for `verify`; the first of these three that is set counts. None: the system's
       store, where wolfSSL can load it. */

    /* A context of yours, with its CAs loaded, for any number of sessions; not freed here, no setting of it is changed,
       and none weakens a session. wolfSSL itself keeps the intermediate certificates in it that servers have shown and
       that were good then, and does not look at their dates again: take a new one now and then. With a verify callback
       on its WOLFSSL_CERT_MANAGER every certificate is refused. A wolfSSL without malloc (WOLFSSL_STATIC_MEMORY,
       WOLFSSL_NO_MALLOC, WOLFSSL_DYN_CERT) needs one, made by wolfSSL_CTX_load_static_memory(); there a server that sends
       an old root along is refused (IMAPCONNECT_E_WEAK). */
    struct WOLFSSL_CTX *wolfssl_ctx;
    /* A buffer, in flash say, of ca_size bytes: IMAPCONNECT_DER, one certificate; IMAPCONNECT_PEM or 0, any
       number of them. */
    const void *ca_data;
    size_t ca_size;
    int ca_format;
    /* A folder of PEM files, or one PEM file. Every certificate in there is trusted as a CA, whatever it says of
       itself: put no server's certificate there but one that may vouch for any server. */
    const char *ca_path;

    /* Milliseconds for each step: connecting, handshake, greeting, each command; 0: 60,000. */
    uint32_t timeout;
    /* Bytes that the server may send for one command once logged in; 0: no limit. */
    uint32_t max_reply;
    /* 1: calls return IMAPCONNECT_PENDING, and imapconnect_step() goes on. */
    int nonblocking;
    /* 1: with `secure` 0 nothing is sent that shows the password or a token, no LOGIN command where CRAM-MD5 failed,
       and IMAPCONNECT_AUTH_IN_CLEAR does not count (IMAPCONNECT_E_CLEARTEXT). */
    int refuse_cleartext;
    /* IMAPCONNECT_AUTH_AUTO, or a sum of the others. */
    int auth;
    /* The most iterations of SCRAM that the server may want, each of which is two blocks of the hash; 0: 600,000. Less
       than 4,096 are never taken (RFC 7677 section 4). */
    uint32_t scram_iterations;
    /* Milliseconds after which IDLE is renewed; 0: 480,000, since some servers hang up after nine minutes. */
    uint32_t idle_renew;
    /* Milliseconds between two NOOPs where the server has no IDLE; 0: 60,000. */
    uint32_t idle_poll;
#ifndef IMAPCONNECT_NO_TLS_OPTIONS
    /* A certificate of ours, pins, tickets; 0 for none of them. */
    const imapconnect_tls_options *tls;
#endif
} imapconnect_config;

/* Sets every member to zero, which is a default that works. */
#define imapconnect_config_init(config) imapconnect_config_init_sized((config), sizeof(imapconnect_config))
IMAPCONNECT_API void imapconnect_config_init_sized(imapconnect_config *config, size_t size);

/* ---- the session ----

   Everything that a connection needs, in the caller's memory. The members are private; they stand here so that
   the compiler knows the size. Nothing is allocated beside it, but for what wolfSSL takes. */

#ifndef IMAPCONNECT_NO_SASL
typedef uint32_t imapconnect_capabilities; /* a bit each */
#else
typedef uint16_t imapconnect_capabilities;
#endif

typedef struct imapconnect_lexer { /* room >>lexer: where in a line we are */
    uint8_t mode;                  /* how the rest of the line is read */
    uint8_t in_literal;
    uint8_t carriage; /* CR was the last byte */
    uint8_t quoted;   /* where in a value: in a quoted string, behind its backslash, ... */
    uint8_t brace;    /* how much of "{n}" was just seen */
    uint8_t digits;   /* in the braces; more than ten stand for a number that is none */
    uint8_t ended;    /* `word` was handed over */
    uint8_t length;   /* of `word`; more than fit stand for a word that nobody knows */
    uint32_t number;  /* of a literal: the digits so far, then the bytes still to come */
    char word[IMAPCONNECT_WORD_SIZE];
} imapconnect_lexer;

typedef struct imapconnect_reader { /* room >>responses: what the line has said so far */
    uint8_t position;               /* which word of the line comes next */
    uint8_t tagged;                 /* the line began with our tag */
    uint8_t saw;                    /* the event that the line is going to be */
    uint8_t text_position;          /* before, in or behind the response code */
    uint8_t answer;                 /* the last status: its row in the table of keywords, from 1 */
    uint8_t code_length;            /* in use of `code` */
    uint8_t text_length;            /* in use of `text` */
    uint8_t early;                  /* the line began before the command had left: it answers nothing */
    uint8_t collects;               /* the values of this line are read */
    uint8_t wants_base64;           /* a continuation's text is a challenge, decoded into the transmit buffer */
    uint8_t base64_count;           /* characters of the group of four */
    uint8_t base64_padding;         /* of them '=' */
    uint8_t base64_bad;             /* not strict base64, or too long: IMC_BASE64_... */
    uint8_t explained;              /* `text` is the reason why a token was refused, and stays */
    uint16_t challenge;             /* bytes decoded */
    imapconnect_lexer lexer;
    imapconnect_capabilities found;  /* capability atoms, or permanent flags, of this line so far */
    imapconnect_capabilities listed; /* the same once the list is known to be whole */
    uint32_t number;                 /* in front of the response's name; of base64, the bits of the group */
    char tag[IMAPCONNECT_TAG_SIZE];  /* of the command outstanding, "" for none */
    char code[IMAPCONNECT_CODE_SIZE];
    char text[IMAPCONNECT_TEXT_SIZE];
} imapconnect_reader;

typedef struct imapconnect_row { /* room >>rows: a row of a listing, while it arrives */
    uint8_t finished;            /* of the whole reply: what was asked for has come */
    uint8_t has;                 /* columns of this row that came, a bit each */
    uint8_t flags;               /* system flags that came, the same */
    uint8_t key;      /* the column that the next value belongs to, from 1; 0 for one that nobody asked for */
    uint8_t streams;  /* the next string goes to the caller as it arrives */
    uint8_t open;     /* a value has begun, ... */
    uint8_t string;   /* ... quoted or as a literal: the token that began it, ... */
    uint8_t cut;      /* ... and is too long */
    uint8_t depth;    /* parentheses that are open */
    uint8_t field[3]; /* values so far, outside of parentheses, in one, in two */
    uint16_t base;    /* where in the text the present value begins, ... */
    uint16_t length;  /* ... and how long it is so far */
    uint32_t count;   /* of the whole reply: rows, or bytes of a message */
    uint32_t sum;     /* of the whole reply: of the rows' sequence numbers */
    union {
        imapconnect_message message;
        imapconnect_mailbox mailbox;
        imapconnect_namespace space;
        imapconnect_selection selection;
        imapconnect_status status;
    } is;
} imapconnect_row;

typedef struct imapconnect_payload { /* room >>sasl: what a mechanism says first, and how far it is written */
    const char *format;              /* what is not written yet */
    const char *text;                /* the same of the present text */
    const char *escape;              /* the same of an escaped character */
    uint8_t escapes;                 /* "," and "=" of this text are escaped */
} imapconnect_payload;

typedef struct imapconnect_scram { /* room >>sasl: the key, while it is derived */
    uint8_t last[32];              /* the latest HMAC ... */
    uint8_t sum[32];               /* ... and the exclusive or of all */
    uint32_t left;                 /* iterations */
} imapconnect_scram;

typedef union imapconnect_buffer { /* what leaves, and once it has left, what comes back: a challenge, or a row */
    char bytes[IMAPCONNECT_WRITE_SIZE];
#ifndef IMAPCONNECT_NO_SCRAM
    struct {
        char message[IMAPCONNECT_WRITE_SIZE - sizeof(imapconnect_scram)];
        imapconnect_scram scram;
    } challenge;
#endif
    struct {
        imapconnect_row row;
        char text[IMAPCONNECT_WRITE_SIZE - sizeof(imapconnect_row)];
    } in;
} imapconnect_buffer;

typedef struct imapconnect_utf7 { /* room >>names: how far a name is written */
    uint8_t open;                 /* between "&" and "-" */
    uint8_t bits;                 /* those that do not make a digit yet ... */
    uint8_t count;                /* ... and how many */
} imapconnect_utf7;

typedef struct imapconnect_writer { /* room >>commands: a line and its arguments */
    uint8_t texts;                  /* arguments that are written */
    uint8_t numbers;                /* the same */
    uint8_t open;                   /* the kind of the present argument; 0 between two */
    uint8_t literal;                /* it goes as a literal */
    uint8_t waiting;                /* for the "+" before the literal */
    uint8_t pushed;                 /* a literal leaves without that "+" */
    uint8_t secret;                 /* `out` holds a secret: wipe it once sent */
    uint8_t borrowed;               /* `out` holds rows of the reply */
    imapconnect_utf7 utf7;
    uint16_t used;       /* bytes in `out` ... */
    uint16_t sent;       /* ... and how many of them have left */
    const char *format;  /* what is not written yet; 0 when all is */
    const char *text[3]; /* the caller's */
    uint32_t number[3];
    size_t offset;    /* in the present argument */
    uint32_t counter; /* of tags */
#ifndef IMAPCONNECT_NO_SASL
    imapconnect_payload payload;
#endif
    imapconnect_buffer out;
} imapconnect_writer;

typedef union imapconnect_taker { /* the caller's function for what a command brings, or takes */
    imapconnect_on_mailbox mailbox;
    imapconnect_on_namespace space;
    imapconnect_on_message message;
    imapconnect_on_uid uid;
    imapconnect_on_news news;
    imapconnect_sink sink;
    imapconnect_source source;
} imapconnect_taker;

typedef struct imapconnect_engine { /* room >>engine: the protocol, without any I/O */
    uint8_t state;
    uint8_t failed_state; /* where `error` happened */
    uint8_t done;
    uint8_t secure;
    uint8_t encrypted;
    uint8_t preauth;
    uint8_t mechanism; /* the row to try next */
    uint8_t entered;   /* the row that logged in, from 1 */
    uint8_t exchange;  /* of AUTHENTICATE: nothing sent yet, answered, given up, ... */
    uint8_t tries;     /* mechanisms tried */
    uint8_t binds;     /* TLS has something that SCRAM can be bound to */
    uint8_t step;      /* changes when a new time limit begins */
    uint8_t progress;  /* bytes moved that extend the time limit */
    uint8_t asked;     /* the capabilities are those after the login */
    uint8_t read_only; /* the open mailbox */
    uint8_t utf8;      /* mailbox names travel as UTF-8 */
    uint8_t heard;     /* IDLE brought news ... */
    uint8_t enough;    /* ... and nobody waits for more */
    uint8_t log_direction;
    uint8_t log_used;
    int16_t error;                         /* the first fatal one */
    int16_t result;                        /* of the call, once `done` */
    int16_t login_error;                   /* of the last step of authentication */
    imapconnect_capabilities capabilities; /* of the newest valid list */
    imapconnect_capabilities offered;      /* a list that came during a login, valid if that succeeds */
    uint16_t reply_lines;                  /* the same; before login alone */
    uint32_t reply_bytes;                  /* since the last command was sent */
    uint32_t exists;                       /* messages in the open mailbox */
    const struct imc_command *command;     /* the one outstanding, once logged in */
    const imapconnect_config *config;
    imapconnect_list *list;
    imapconnect_log on_log;
    imapconnect_taker taker; /* of the call */
    void *user;              /* its parameter; or where the outputs go */
    imapconnect_reader reader;
    imapconnect_writer writer;
#ifndef IMAPCONNECT_NO_SCRAM
    char scram[32]; /* the client's nonce, and from the client's proof on the signature that the server must give */
#endif
    char log[IMAPCONNECT_LOG_SIZE];
} imapconnect_engine;

typedef struct imapconnect_server { /* room >>names: the server's text, taken apart */
    const char *host;               /* the caller's, not NUL-terminated */
    uint8_t length;
    uint8_t address_length; /* 4 or 16 for a numeric address, 0 for a name */
    uint16_t port;
    uint8_t address[16]; /* after the handshake: what a ticket is bound to */
} imapconnect_server;

typedef struct imapconnect_sockets { /* room >>sockets */
    struct addrinfo *addresses;
    struct addrinfo *next;
    uint32_t until; /* the present address is given up when so many ms are left */
    int fd;
    int detail;
    int16_t error;   /* of the first address */
    uint8_t left;    /* addresses not tried yet */
    uint8_t ready;   /* the last wait ended since something is possible */
    uint8_t drained; /* the kernel has nothing more to read */
} imapconnect_sockets;

typedef struct imapconnect_tls { /* room >>wolfssl */
    uint8_t own_context;
    uint8_t verify;
    uint8_t dry;     /* the transport below had nothing to read */
    uint8_t writing; /* a record is on its way: nothing may be read before it has left */
    uint8_t unsent;  /* wolfSSL keeps bytes that the transport below did not take */
    uint8_t leaf_seen;
    int16_t lower_code;  /* of the transport below */
    int16_t refused;     /* why the verify callback said no */
    int16_t chain_error; /* wolfSSL's first error of the chain, which a later one may hide */
    int16_t detail;      /* wolfSSL's number */
    uint16_t skipped;
#ifndef IMAPCONNECT_NO_TLS_OPTIONS
    uint16_t until; /* the last day on which a ticket may be used, since 1970 */
    uint8_t secure;
    uint8_t ticket; /* IMC_TICKET_...: what has become of tickets */
    const struct imapconnect_config *config;
#endif
    const struct imapconnect_tls *self; /* proves that a callback was given this, and nothing else */
    struct WOLFSSL_CTX *context;
    struct WOLFSSL *ssl;
    const imapconnect_transport *lower;
    imapconnect_server *server;
    uint32_t silence; /* raw bytes since the last byte of data */
} imapconnect_tls;

typedef struct imapconnect_session {
    imapconnect_engine engine;
    uint32_t magic;
    uint8_t step;
    uint8_t busy;      /* a call is in progress */
    uint8_t running;   /* and at work, so that what is called now is called by a callback */
    uint8_t opened;    /* the transport's close is due */
    uint8_t secured;   /* bytes go through TLS */
    uint8_t wants;     /* IMAPCONNECT_READABLE, IMAPCONNECT_WRITABLE */
    uint16_t in_at;    /* the next byte of `in` to be read ... */
    uint16_t in_end;   /* ... and where they end */
    int16_t detail;    /* errno, or wolfSSL's number */
    uint32_t began;    /* when the present step did */
    uint32_t patience; /* ms until the next step() at the latest */
    int socket;
    imapconnect_config config;
    imapconnect_server server;
    imapconnect_sockets sockets;
    imapconnect_tls tls;
    char in[IMAPCONNECT_READ_SIZE];
} imapconnect_session;

/* ---- the calls ---- */

/* Prepares a session. Call it once before the first imapconnect() on it.

   session   the caller's memory, uninitialised; it must not move while it is open
   config    copied; 0 for all defaults

   Returns 0; IMAPCONNECT_E_PARAMETER without a session; IMAPCONNECT_E_LAYOUT when this file and the one with the
   implementation were compiled with other limits. Any thread; a session belongs to one thread at a time. */
#define imapconnect_init(session, config) \
    imapconnect_init_sized((session), (config), sizeof(imapconnect_session), IMAPCONNECT_READ_SIZE)
IMAPCONNECT_API int imapconnect_init_sized(imapconnect_session *session, const imapconnect_config *config,
                                           size_t size, size_t read_size);

/* The documented IMAPConnect: opens a connection, secures it, checks for IMAP4rev1, and logs in with CRAM-MD5 or,
   where the server does not offer it or it fails, with LOGIN; with config.auth by other mechanisms.

   session     initialised and not open
   server      "host", "host:port", an IPv4 address, "[IPv6]:port", or an IPv6 address; the port is 143, or 993
               with IMAPCONNECT_TLS, when none is given
   username    up to 255 bytes of any kind but CR, LF and NUL; may be empty
   password    the same; with IMAPCONNECT_AUTH_OAUTHBEARER or _XOAUTH2 and no other mechanism a token, up to 16 KB
   on_log      called with each line of the protocol; 0 for none. It stays in use until the session is closed
   responses   filled with what the server sent meanwhile; with IMAPCONNECT_STARTTLS only with what came inside
               TLS; 0 if you do not care
   secure      IMAPCONNECT_INSECURE, IMAPCONNECT_TLS or IMAPCONNECT_STARTTLS
   verify      IMAPCONNECT_VERIFY or IMAPCONNECT_NO_VERIFY; without effect with IMAPCONNECT_INSECURE

   Returns the socket, from 0 up; IMAPCONNECT_PENDING in a non-blocking session; otherwise an error, after which
   nothing is open. An error stays with the session until imapconnect_disconnect() or imapconnect_close().
   IMAPCONNECT_E_BUSY and IMAPCONNECT_E_OPEN disturb nothing. With threads call wolfSSL_Init() once before the
   first session. Source: Omnis Studio, IMAPConnect; RFC 3501 sections 2.2, 6.1, 6.2; RFC 2195; RFC 8314. */
IMAPCONNECT_API int imapconnect(imapconnect_session *session, const char *server, const char *username,
                                const char *password, imapconnect_log on_log, imapconnect_list *responses, int secure,
                                int verify);

/* IMAPDisconnect: sends LOGOUT, waits for the reply, and closes the connection, whatever the reply is. On a
   session that has failed it sends nothing and only closes. Closing twice is harmless.

   Returns 0; IMAPCONNECT_E_LOGOUT after a wrong reply; IMAPCONNECT_E_NOT_OPEN when nothing was open;
   IMAPCONNECT_PENDING; otherwise the error that the session has. RFC 3501 section 6.1.3. */
IMAPCONNECT_API int imapconnect_disconnect(imapconnect_session *session, imapconnect_list *responses);

/* Closes the connection at once and without LOGOUT, at any time, also while a call is in progress; wipes the
   session. From inside a callback it cancels the call instead: return from the callback, then close again. */
IMAPCONNECT_API void imapconnect_close(imapconnect_session *session);

/* IMAPNoOp: sends NOOP. News that the server has (a new message count, say) lands in `responses`.
   Returns 0, IMAPCONNECT_E_NOOP when it was refused, or another error. RFC 3501 section 6.1.2. */
IMAPCONNECT_API int imapconnect_noop(imapconnect_session *session, imapconnect_list *responses);

/* Sends any other command as it stands: "SEARCH UNSEEN", without tag and line end.

   text        one line, which stays the caller's and unchanged until the call has ended. Refused before a byte is
               sent: CR or LF in it, an empty one, a leading space (IMAPCONNECT_E_VALUE); LOGIN, AUTHENTICATE,
               UNAUTHENTICATE, STARTTLS, COMPRESS, LOGOUT, IDLE, ENABLE (IMAPCONNECT_E_USE_FUNCTION); one that ends
               in {n}, {n+} or ~{n} (IMAPCONNECT_E_LITERAL). The session goes on after these
   responses   as everywhere; literals come through config.on_response

   Returns 0; IMAPCONNECT_E_NO or IMAPCONNECT_E_BAD, after which the session goes on; or another error.
   RFC 3501 section 6. */
IMAPCONNECT_API int imapconnect_command(imapconnect_session *session, const char *text, imapconnect_list *responses);

/* ---- the commands ----

   Each sends its command, waits for the reply, and returns 0, or below zero an error: the number of its command when
   the server answered NO or BAD, after which the session goes on (imapconnect_answer() says which of the two it was);
   IMAPCONNECT_E_VALUE, IMAPCONNECT_E_PARAMETER or IMAPCONNECT_E_TOO_LONG when an argument cannot be sent, and then
   nothing was; IMAPCONNECT_PENDING in a non-blocking session; otherwise an error that ends the session.

   session     open, and no other call in progress on it
   mailbox     a name in UTF-8 (modified UTF-7 on the wire, RFC 3501 section 5.1.3), or as a row of LIST gave it;
               any length; CR, LF and what is not UTF-8 are refused. It stays yours and unchanged until the call ends
   uid         of a message, not 0. No message has it: no error, but for those that receive
   responses   filled with what the server sent meanwhile; 0 if you do not care. Literals are not in it

   Outputs are written when the call has ended well, and not before; 0 where one is not wanted, unless it says
   otherwise. As for threads, a session belongs to one at a time. Sections are those of RFC 3501. */

#ifndef IMAPCONNECT_NO_COMMANDS

/* IMAPSelectMailbox: opens a mailbox. IMAPCONNECT_E_SELECT when refused: then none is open. Section 6.3.1. */
IMAPCONNECT_API int imapconnect_select_mailbox(imapconnect_session *session, const char *mailbox,
                                               imapconnect_selection *selection, imapconnect_list *responses);

/* The same, to read only: no flag changes, not even \Recent. IMAPCONNECT_E_SELECT when refused. Section 6.3.2. */
IMAPCONNECT_API int imapconnect_examine_mailbox(imapconnect_session *session, const char *mailbox,
                                                imapconnect_selection *selection, imapconnect_list *responses);

/* Closes the mailbox, and removes the messages flagged \Deleted unless it is read-only. IMAPCONNECT_E_NO or _BAD when
   refused. Section 6.4.2. */
IMAPCONNECT_API int imapconnect_close_mailbox(imapconnect_session *session, imapconnect_list *responses);

/* Closes it and removes nothing, where the server can do that. IMAPCONNECT_E_NO or _BAD when refused. RFC 3691. */
IMAPCONNECT_API int imapconnect_unselect_mailbox(imapconnect_session *session, imapconnect_list *responses);

/* IMAPCheck: asks the server to put its house in order. IMAPCONNECT_E_CHECK when refused. Section 6.4.1. */
IMAPCONNECT_API int imapconnect_check(imapconnect_session *session, imapconnect_list *responses);

/* Tells the server who you are: "name" and "version", up to 1024 bytes each, CR and LF refused; name 0 says nothing of
   yourself. What the server is stands in `responses`. NetEase wants it between login and SELECT. IMAPCONNECT_E_NO or
   _BAD when refused. RFC 2971. */
IMAPCONNECT_API int imapconnect_id(imapconnect_session *session, const char *name, const char *version,
                                   imapconnect_list *responses);

/* Switches extensions on, "UTF8=ACCEPT" say: space between several, printable ASCII. Once the server has answered that
   UTF8=ACCEPT is on, mailbox names travel as UTF-8. IMAP4rev2, QRESYNC and UIDONLY are refused here
   (IMAPCONNECT_E_VALUE), since they change the language. IMAPCONNECT_E_NO or _BAD when refused. RFC 5161, RFC 6855. */
IMAPCONNECT_API int imapconnect_enable(imapconnect_session *session, const char *extensions,
                                       imapconnect_list *responses);

#ifndef IMAPCONNECT_NO_MAILBOXES

/* IMAPListMailboxes: one row for each mailbox whose name fits.

   reference   "" for the top; otherwise a mailbox name before which nothing is looked at
   pattern     a mailbox name in which * stands for any text, and % for any that holds no separator; "" returns one
               row with the separator
   on_mailbox  takes the rows; without it IMAPCONNECT_E_NO_LIST

   IMAPCONNECT_E_LIST when refused. A name of more than some 380 bytes on the wire is IMAPCONNECT_E_FIELD_LENGTH, unless
   IMAPCONNECT_WRITE_SIZE is larger.
   Section 6.3.8. */
IMAPCONNECT_API int imapconnect_list_mailboxes(imapconnect_session *session, const char *reference,
                                               const char *pattern, imapconnect_on_mailbox on_mailbox, void *user,
                                               imapconnect_list *responses);

/* IMAPListSubscribedMailboxes: the same, of those that are subscribed. IMAPCONNECT_E_LIST. Section 6.3.9. */
IMAPCONNECT_API int imapconnect_list_subscribed_mailboxes(imapconnect_session *session, const char *reference,
                                                          const char *pattern, imapconnect_on_mailbox on_mailbox,
                                                          void *user, imapconnect_list *responses);

/* IMAPCreateMailbox, IMAPDeleteMailbox, IMAPSubscribeMailbox, IMAPUnsubscribeMailbox: what their names say.
   IMAPCONNECT_E_CREATE, _E_DELETE, _E_SUBSCRIBE, _E_UNSUBSCRIBE when refused. Sections 6.3.3, 6.3.4, 6.3.6, 6.3.7. */
IMAPCONNECT_API int imapconnect_create_mailbox(imapconnect_session *session, const char *mailbox,
                                               imapconnect_list *responses);
IMAPCONNECT_API int imapconnect_delete_mailbox(imapconnect_session *session, const char *mailbox,
                                               imapconnect_list *responses);
IMAPCONNECT_API int imapconnect_subscribe_mailbox(imapconnect_session *session, const char *mailbox,
                                                  imapconnect_list *responses);
IMAPCONNECT_API int imapconnect_unsubscribe_mailbox(imapconnect_session *session, const char *mailbox,
                                                    imapconnect_list *responses);

/* IMAPRenameMailbox. IMAPCONNECT_E_RENAME when refused. Section 6.3.5. */
IMAPCONNECT_API int imapconnect_rename_mailbox(imapconnect_session *session, const char *old_name,
                                               const char *new_name, imapconnect_list *responses);

/* The numbers of a mailbox that is not open. IMAPCONNECT_E_NO or _BAD when refused. Section 6.3.10. */
IMAPCONNECT_API int imapconnect_mailbox_status(imapconnect_session *session, const char *mailbox,
                                               imapconnect_status *status, imapconnect_list *responses);

/* Where the server keeps which mailboxes. Without `on_namespace`: IMAPCONNECT_E_NO_LIST. IMAPCONNECT_E_NO or _BAD when
   refused. RFC 2342. */
IMAPCONNECT_API int imapconnect_list_namespaces(imapconnect_session *session, imapconnect_on_namespace on_namespace,
                                                void *user, imapconnect_list *responses);

/* An imapconnect_on_mailbox; `user` is an imapconnect_mailboxes. */
IMAPCONNECT_API int imapconnect_collect_mailbox(void *user, const imapconnect_mailbox *row);

#endif
#ifndef IMAPCONNECT_NO_MESSAGES

#define IMAPCONNECT_BY_SEQUENCE 0 /* first and last are sequence numbers, 1 to the number of messages */
#define IMAPCONNECT_BY_UID      1

/* IMAPListMessages: one row for each message from `first` to `last`, 0 and 0 for all, last 0 for all from `first` on.
   It sends NOOP, so that the server tells its news, and then FETCH, unless the mailbox is empty or `first` is behind
   its end; the messages are not marked as seen. Changes that other clients make meanwhile do not disturb the rows.

   on_message   takes the rows; without it IMAPCONNECT_E_NO_LIST

   IMAPCONNECT_E_NOOP and IMAPCONNECT_E_FETCH_REPLY when refused (the latter also where another client has removed
   messages meanwhile: list again); IMAPCONNECT_E_FETCH_INCOMPLETE when the server left out messages, or made up rows
   for some that are gone (EXPUNGEISSUED), and the session goes on; IMAPCONNECT_E_FETCH_SEQUENCE when it sends a row
   that cannot be, or removes one under our feet; IMAPCONNECT_E_FETCH_NO_... when a row lacks a column. Sections 6.4.5,
   7.4.2. */
IMAPCONNECT_API int imapconnect_list_messages(imapconnect_session *session, int by, uint32_t first, uint32_t last,
                                              imapconnect_on_message on_message, void *user,
                                              imapconnect_list *responses);

/* An imapconnect_on_message; `user` is an imapconnect_messages. */
IMAPCONNECT_API int imapconnect_collect_message(void *user, const imapconnect_message *row);

/* IMAPRecvHeaders and IMAPRecvMessage: the header block, or the whole message, of any size, byte by byte as the server
   has it, into the sink; \Seen stays as it was. An empty one does not call the sink.

   sink   takes the bytes, as they arrive; must not be 0. They are good when the call has returned 0

   IMAPCONNECT_E_NO_MESSAGE when the server has none with this UID; IMAPCONNECT_E_RECEIVE when refused, after these the
   session goes on. A literal whose size is wrong ends in an error. Sections 6.4.5, 6.4.8. */
IMAPCONNECT_API int imapconnect_recv_headers(imapconnect_session *session, uint32_t uid, imapconnect_sink sink,
                                             void *user, imapconnect_list *responses);
IMAPCONNECT_API int imapconnect_recv_message(imapconnect_session *session, uint32_t uid, imapconnect_sink sink,
                                             void *user, imapconnect_list *responses);

/* A part of a message. All zero is the whole of it. */
typedef struct imapconnect_part {
    const char *section; /* "1.2", "TEXT", "HEADER.FIELDS (SUBJECT DATE)"; 0 or "" for all. Section 6.4.5 */
    uint32_t offset;     /* the first byte, from 0 */
    uint32_t count;      /* how many at most; 0: to the end */
    int mark_seen;       /* 1: sets \Seen */
} imapconnect_part;

/* The same for a part; `part` stays yours and unchanged until the call ends. More bytes than were asked for:
   IMAPCONNECT_E_RECEIVE_LENGTH; another part than was asked for: IMAPCONNECT_E_RECEIVE_ITEM. */
IMAPCONNECT_API int imapconnect_recv_part(imapconnect_session *session, uint32_t uid, const imapconnect_part *part,
                                          imapconnect_sink sink, void *user, imapconnect_list *responses);

#define IMAPCONNECT_ADD    1
#define IMAPCONNECT_LEAVE  0
#define IMAPCONNECT_REMOVE (-1)

/* IMAPSetMessageFlags: each flag is IMAPCONNECT_ADD, _LEAVE or _REMOVE. Sends one UID STORE for those to be added, one
   for those to be removed, and nothing when all stay. IMAPCONNECT_E_STORE when refused. Section 6.4.6. */
IMAPCONNECT_API int imapconnect_set_message_flags(imapconnect_session *session, uint32_t uid, int answered,
                                                  int deleted, int draft, int flagged, int seen,
                                                  imapconnect_list *responses);

/* IMAPExpungeMessages: removes all messages flagged \Deleted. IMAPCONNECT_E_EXPUNGE when refused. Section 6.4.3. */
IMAPCONNECT_API int imapconnect_expunge_messages(imapconnect_session *session, imapconnect_list *responses);

/* IMAPCopyMessage: copies a message to the end of another mailbox. IMAPCONNECT_E_COPY when refused; when the response
   code is TRYCREATE, creating the mailbox helps. Section 6.4.7. */
IMAPCONNECT_API int imapconnect_copy_message(imapconnect_session *session, uint32_t uid, const char *mailbox,
                                             imapconnect_list *responses);

/* Moves a message to the end of another mailbox: with MOVE where the server has it. Where not, it is copied, flagged
   \Deleted and expunged; and a server without UIDPLUS can only expunge all messages that are flagged \Deleted.

   IMAPCONNECT_E_READ_ONLY after EXAMINE, without MOVE: nothing was sent; IMAPCONNECT_E_COPY when MOVE or COPY was
   refused: nothing has changed; IMAPCONNECT_E_STORE: it was copied and is
   still here; IMAPCONNECT_E_EXPUNGE: it is here, too, and flagged \Deleted. RFC 6851, RFC 4315. */
IMAPCONNECT_API int imapconnect_move_message(imapconnect_session *session, uint32_t uid, const char *mailbox,
                                             imapconnect_list *responses);

#endif
#ifndef IMAPCONNECT_NO_SEARCH

/* Finds messages in the open mailbox.

   criteria   as in section 6.4.4: "UNSEEN SINCE 1-Feb-1994"; printable ASCII, and no literal
   text       0, or the argument of the last criterion: with "FROM" the name, with "SUBJECT" the words, any bytes but
              CR, LF and NUL
   charset    of the text: "UTF-8"; 0 for US-ASCII. With UTF8=ACCEPT only 0 and "UTF-8", and none is sent
   on_uid     takes the UIDs one by one; without it IMAPCONNECT_E_NO_LIST

   IMAPCONNECT_E_NO or _BAD when refused; NO with the response code BADCHARSET: the server lists those that it knows.
   Section 6.4.4. */
IMAPCONNECT_API int imapconnect_search(imapconnect_session *session, const char *criteria, const char *text,
                                       const char *charset, imapconnect_on_uid on_uid, void *user,
                                       imapconnect_list *responses);

#endif
#ifndef IMAPCONNECT_NO_APPEND

/* Stores a message at the end of a mailbox, which need not be open.

   flags    of the new message; 0 for none. \Recent and keywords do not count
   date     its internal date, "17-Jul-1996 02:44:25 -0700"; 0 for now
   size     how many bytes the source is going to give. Line ends are CRLF, and NUL is not allowed: RFC 3501 section 9
   source   gives them; must not be 0. It is asked once the server has agreed, or at once with LITERAL+ (RFC 7888)

   Bytes that leave extend the time limit. IMAPCONNECT_E_NO or _BAD when refused: with the response code TRYCREATE,
   creating the mailbox helps; "APPENDUID validity uid" after it went well says which UID it got. Section 6.3.11. */
IMAPCONNECT_API int imapconnect_append(imapconnect_session *session, const char *mailbox,
                                       const imapconnect_flags *flags, const char *date, uint32_t size,
                                       imapconnect_source source, void *user, imapconnect_list *responses);

#endif
#ifndef IMAPCONNECT_NO_IDLE

/* Waits for news of the open mailbox, without polling where the server can do that. IDLE is renewed each
   config.idle_renew ms, since servers and routers forget who is silent for long; the server's answer to that proves
   that the link lives. Where it has no IDLE, NOOP is sent each config.idle_poll ms, and once more at the end.

   milliseconds   the longest wait; 0 only looks; 0xffffffff is 49 days
   on_news        hears what happens; 0 ends the wait with the first news

   News that comes with the reply to another command is told by that command's response list, and not again here: look
   at the mailbox before you wait. Returns 1 when there was news, 0 when not; the session is ready for the next
   command. IMAPCONNECT_E_NO or _BAD when refused. In a non-blocking session it stays PENDING while it waits. RFC 2177. */
IMAPCONNECT_API int imapconnect_idle(imapconnect_session *session, uint32_t milliseconds, imapconnect_on_news on_news,
                                     void *user, imapconnect_list *responses);

/* Ends that wait, from a callback or, in a non-blocking session, between two steps; step on until the result is there.
   Without a wait it does nothing. From the thread that the session belongs to. */
IMAPCONNECT_API void imapconnect_idle_stop(imapconnect_session *session);

#endif
#endif /* IMAPCONNECT_NO_COMMANDS */

/* ---- the event loop ---- */

/* Goes on with the call in progress of a non-blocking session. Returns IMAPCONNECT_PENDING, or that call's final
   result; once there is no call in progress: 0 on an open session, otherwise the error that the session has, or
   IMAPCONNECT_E_NOT_OPEN. It never waits, but for what the transport's `open` does: with the platform's sockets the
   look-up of a name blocks. Pointers given to a call must stay valid until its final result. */
IMAPCONNECT_API int imapconnect_step(imapconnect_session *session);

/* What the call in progress waits for: the bits IMAPCONNECT_READABLE and IMAPCONNECT_WRITABLE of the socket
   imapconnect_socket(). Call imapconnect_step() when one of them is true, and at the latest after `*milliseconds`
   (0: at once, whatever the bits are). Ask anew after each step; while connecting the socket itself may change too. */
IMAPCONNECT_API int imapconnect_wants(const imapconnect_session *session, uint32_t *milliseconds);

/* The socket, -1 when there is none. */
IMAPCONNECT_API int imapconnect_socket(const imapconnect_session *session);

/* ---- what can be asked of a session; any time, also after an error and until it is closed ---- */

/* 1 when commands can be sent. */
IMAPCONNECT_API int imapconnect_is_open(const imapconnect_session *session);

/* 1 when TLS was up: what imapconnect_server_text() says came through it, with `verify` from the server. 0: anyone on
   the way may have written it. */
IMAPCONNECT_API int imapconnect_is_encrypted(const imapconnect_session *session);

/* Which way in was taken: "CRAM-MD5", "LOGIN", "SCRAM-SHA-256", ..., "PREAUTH", or "" before that. Static. */
IMAPCONNECT_API const char *imapconnect_mechanism(const imapconnect_session *session);

/* What the last answer was: "OK", "NO", "BAD", "BYE", "PREAUTH", or "" before the first. Static. */
IMAPCONNECT_API const char *imapconnect_answer(const imapconnect_session *session);

/* The response code of that answer, with its arguments and without brackets ("AUTHENTICATIONFAILED"), and the text for
   people behind it; each cut to its size, "" when there was none. They change with the next answer. Bytes from the
   server: do not print them to a terminal unseen. After IMAPCONNECT_E_TOKEN the text is the JSON that the server gave
   as its reason, if it did. RFC 3501 section 7.1, RFC 7628 section 3.2.2. */
IMAPCONNECT_API const char *imapconnect_response_code(const imapconnect_session *session);
IMAPCONNECT_API const char *imapconnect_server_text(const imapconnect_session *session);

#ifndef IMAPCONNECT_NO_SASL

/* The response code of the last answer as a number, 0 for none. RFC 5530; ALERT, BADCHARSET and TRYCREATE RFC 3501
   section 7.1; LIMIT also where the words speak of too many connections or requests, without a code, with one that is
   not known, with ALERT or UNAVAILABLE. */
enum imapconnect_reason {
    IMAPCONNECT_REASON_NONE,
    IMAPCONNECT_REASON_UNKNOWN,              /* a code that is not one of these */
    IMAPCONNECT_REASON_ALERT,                /* the text must be shown to a person */
    IMAPCONNECT_REASON_UNAVAILABLE,          /* a part of the server is down: try later; the password may be right */
    IMAPCONNECT_REASON_AUTHENTICATIONFAILED, /* wrong user name or password */
    IMAPCONNECT_REASON_AUTHORIZATIONFAILED,  /* right, but not allowed to be whom it asks to be */
    IMAPCONNECT_REASON_EXPIRED,              /* right, but no longer valid */
    IMAPCONNECT_REASON_PRIVACYREQUIRED,      /* not without TLS */
    IMAPCONNECT_REASON_CONTACTADMIN,         /* nothing that a program could mend */
    IMAPCONNECT_REASON_LIMIT,                /* too many connections, or another limit of the server's */
    IMAPCONNECT_REASON_NOPERM,
    IMAPCONNECT_REASON_INUSE,
    IMAPCONNECT_REASON_OVERQUOTA,
    IMAPCONNECT_REASON_ALREADYEXISTS,
    IMAPCONNECT_REASON_NONEXISTENT,
    IMAPCONNECT_REASON_TRYCREATE,
    IMAPCONNECT_REASON_CANNOT,
    IMAPCONNECT_REASON_BADCHARSET,
    IMAPCONNECT_REASON_EXPUNGEISSUED,
    IMAPCONNECT_REASON_CORRUPTION,
    IMAPCONNECT_REASON_SERVERBUG,
    IMAPCONNECT_REASON_CLIENTBUG
};
IMAPCONNECT_API int imapconnect_reason(const imapconnect_session *session);

#endif

/* How far the session came: "closed", "connecting", "handshake", "greeting", "capability", "starttls",
   "authenticate", "login", "ready", "command", "idle", "logout". After an error, where it was then. Static. */
IMAPCONNECT_API const char *imapconnect_phase(const imapconnect_session *session);

/* The number below the error, for a log: wolfSSL's own, the system's errno, or the resolver's EAI_...; 0 when there is
   none. */
IMAPCONNECT_API int imapconnect_detail(const imapconnect_session *session);

/* Files in the folder of CA certificates that held none and were left out. */
IMAPCONNECT_API unsigned imapconnect_ca_skipped(const imapconnect_session *session);

#ifndef IMAPCONNECT_NO_TLS_OPTIONS

/* The newest ticket that the server has sent on this open session, to be kept and given to config.tls for the next one:
   some hundred bytes. Ask before you disconnect: with TLS 1.3 it comes after the handshake, with the first answers.

   buffer   takes it when it is large enough, otherwise it stays as it is; 0 only asks for the size. It may be the one
            that config.tls->ticket points to
   size     of the buffer

   Returns the size of the ticket; 0 when there is none: config.tls->resume was not set, the server has sent none (yet),
   or this wolfSSL cannot (it needs HAVE_SESSION_TICKET, HAVE_EXT_CACHE and its session cache). Use each once, unless
   there is no newer one: RFC 8446 appendix C.4.

   It is as secret as the password: it holds the key of the session, and who can write it can pretend to be the server.
   Who gets it later can read what was said in a session of TLS 1.2 that it resumed, and in one of TLS 1.3 where the
   server has chosen to do without new keys (RFC 8446 section 2.2: wolfSSL 5.5 offers that).
   Throw it away with the key of your certificate, or when you no longer trust a CA. */
IMAPCONNECT_API size_t imapconnect_ticket(const imapconnect_session *session, void *buffer, size_t size);

#endif

#ifdef __cplusplus
}
#endif

#endif /* IMAPCONNECT_H */

/* ---- Stop here if you only want to use it. --------------------------------------------------------- */

/* ---- Part III: implementation ---------------------------------------------------------------------- */

#if defined(IMAPCONNECT_IMPLEMENTATION) && !defined(IMAPCONNECT_IMPLEMENTED)
#define IMAPCONNECT_IMPLEMENTED

/* >>ground ------------------------------------------------------------------------------------------- *
 * What the rooms stand on: headers, hooks, and checks at compile time. A room calls only rooms above it,
 * and none of them down to >>engine does any I/O, asks a clock or takes memory. */

#include <stdarg.h>
#include <string.h>

#ifndef IMAPCONNECT_NO_SOCKETS
#ifdef _WIN32
#error "imapconnect.h: Winsock is not there yet. Define IMAPCONNECT_NO_SOCKETS, and set config.transport and clock."
#endif
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#ifndef AI_NUMERICHOST
#error "imapconnect.h: compile with -D_POSIX_C_SOURCE=200809L, or define that before the first #include."
#endif
#endif

#ifndef IMAPCONNECT_NO_TLS
#ifdef WOLFSSL_USER_SETTINGS
#include <wolfssl/wolfcrypt/settings.h>
#else
#include <wolfssl/options.h>
#endif
#include <wolfssl/ssl.h>
#include <wolfssl/error-ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>
#ifndef IMAPCONNECT_NO_TLS_OPTIONS
#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/sha256.h>
#if defined(HAVE_SESSION_TICKET) && defined(HAVE_EXT_CACHE) && !defined(NO_SESSION_CACHE)
#define IMC_HAS_TICKETS
#endif
#endif
#ifndef NO_FILESYSTEM
#include <errno.h> /* why a file was not opened */
#endif
#ifndef WOLFSSL_ALWAYS_VERIFY_CB
#error "imapconnect.h: build wolfSSL with WOLFSSL_ALWAYS_VERIFY_CB, or no certificate can be checked."
#endif
#ifndef WOLFSSL_VERIFY_CB_ALL_CERTS
/* An intermediate certificate with a weak signature would be refused with the leaf, when wolfSSL has it in the context
   already: one that is shared would take the next server's leaf on its word. */
#error "imapconnect.h: build wolfSSL with WOLFSSL_VERIFY_CB_ALL_CERTS, or it keeps certificates that were refused."
#endif
#if defined(WOLFSSL_NO_MALLOC) && !defined(WOLFSSL_DYN_CERT)
/* A CA would keep a pointer to its key in memory that is free again, and that the next message from the server fills. */
#error "imapconnect.h: with WOLFSSL_NO_MALLOC build wolfSSL with WOLFSSL_DYN_CERT, too."
#endif
#ifndef NO_MD5
#include <wolfssl/wolfcrypt/md5.h>
#define IMC_HAS_CRAM_MD5
#endif
#ifndef IMAPCONNECT_NO_SCRAM
#include <wolfssl/wolfcrypt/random.h>
#include <wolfssl/wolfcrypt/sha256.h>
#define IMC_HAS_SCRAM
#ifndef NO_SHA
#include <wolfssl/wolfcrypt/sha.h>
#define IMC_HAS_SCRAM_SHA_1
#endif
#endif
#endif

#if IMAPCONNECT_READ_SIZE < 64 || IMAPCONNECT_READ_SIZE > 65535
#error "imapconnect.h: IMAPCONNECT_READ_SIZE must be 64 to 65535."
#endif
#if IMAPCONNECT_WRITE_SIZE < 512 || IMAPCONNECT_WRITE_SIZE > 65535
#error "imapconnect.h: IMAPCONNECT_WRITE_SIZE must be 512 to 65535."
#endif
#if IMAPCONNECT_LOG_SIZE < 16 || IMAPCONNECT_LOG_SIZE > 255
#error "imapconnect.h: IMAPCONNECT_LOG_SIZE must be 16 to 255."
#endif

/* IMAPCONNECT_WIPE(memory, size) overwrites memory in a way that the compiler cannot leave out. */
#ifndef IMAPCONNECT_WIPE
#define IMAPCONNECT_WIPE(memory, size) imc_wipe((memory), (size))
#endif

/* A function that stays one of its own where size matters, though it is called only once: a function into which all is
   inlined has far more values at hand than registers, and reaches its structures from far away. */
#if defined(__GNUC__) && defined(__OPTIMIZE_SIZE__)
#define IMC_APART __attribute__((noinline))
#else
#define IMC_APART
#endif

#define IMC_MAGIC          0x494d4150u /* "IMAP" */
#define IMC_TIMEOUT        60000u      /* ms, the documented time-out */
#define IMC_SLICE          500u        /* ms between two calls of keep_going; it is promised one a second */
#define IMC_STEP_WORKS     16          /* reads and writes of one step(): a fast server must not keep it */
#define IMC_MAX_REPLY      131072u     /* bytes of one reply before login ... */
#define IMC_MAX_LINES      1024u       /* ... and lines */
#define IMC_TLS_MAX_SILENT 131072u     /* raw bytes that TLS may take without a byte of data coming out */
#define IMC_MAX_TRIES      3           /* mechanisms that are tried in one connect */
#ifndef IMC_MIN_ITERATIONS             /* set by tests alone */
#define IMC_MIN_ITERATIONS 4096u       /* of SCRAM, RFC 7677 section 4 */
#endif
#define IMC_MAX_ITERATIONS 600000u

/* memset alone may be left out by a compiler that sees no reader: CWE-14. The empty statement reads everything. */
static void imc_wipe(void *memory, size_t size)
{
#ifdef __GNUC__
    memset(memory, 0, size);
    __asm__ __volatile__("" : : "r"(memory) : "memory"); /* as if somebody read it */
#else
    volatile unsigned char *next = (volatile unsigned char *)memory;
    while (size-- > 0)
        *next++ = 0;
#endif
}

/* >>bytes -------------------------------------------------------------------------------------------- *
 * Bytes and their number. Invariant: no terminator is trusted; whoever reads says how far. Calls nothing. */

typedef struct imc_slice {
    const unsigned char *bytes;
    size_t count;
} imc_slice;

static size_t imc_bytes_least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* toupper() asks the locale; IMAP does not. */
static int imc_bytes_upper(int c)
{
    return c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c;
}

static int imc_bytes_is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* Keywords match in any case, RFC 3501 section 9; without a locale, since in Turkish "i" is not "I". */
static int imc_bytes_same(const char *text, size_t count, const char *word)
{
    size_t i;
    for (i = 0; i < count; i++)
        if (word[i] == '\0' || (text[i] != word[i] && imc_bytes_upper(text[i]) != imc_bytes_upper(word[i])))
            return 0;
    return word[count] == '\0';
}

/* Which of these words a text is, from 1; 0 for none of them. A NUL stands behind each word, and two behind the last. */
static unsigned imc_bytes_word(const char *text, size_t count, const char *words)
{
    unsigned which;
    for (which = 1; *words != '\0'; which++) {
        if (imc_bytes_same(text, count, words))
            return which;
        words += strlen(words) + 1;
    }
    return 0;
}

/* The length of a text, counted no further than `limit`. */
static size_t imc_bytes_length(const char *text, size_t limit)
{
    size_t count = 0;
    while (count < limit && text[count] != '\0')
        count++;
    return count;
}

/* A number in decimal, without a terminator; returns how many digits. */
static size_t imc_bytes_decimal(char *out, uint32_t number)
{
    char digits[10];
    size_t count = 0, i;
    do
        digits[count++] = (char)('0' + number % 10);
    while ((number /= 10) != 0);
    for (i = 0; i < count; i++)
        out[i] = digits[count - 1 - i];
    return count;
}

/* One to ten digits below 2^32, RFC 3501 section 9: number. Returns 0 for anything else. */
static int imc_bytes_number(const char *text, size_t count, uint32_t *number)
{
    uint32_t value = 0;
    size_t i;
    if (count == 0 || count > 10)
        return 0;
    for (i = 0; i < count; i++) {
        uint32_t digit = (uint32_t)(text[i] - '0');
        if (!imc_bytes_is_digit(text[i]) || value > (0xffffffffu - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    *number = value;
    return 1;
}

#ifndef IMAPCONNECT_NO_SASL

/* Whether a text has this word somewhere, in any letter case. */
static int imc_bytes_holds(const char *text, const char *word)
{
    size_t count = strlen(word), length = strlen(text), at;
    for (at = 0; at + count <= length; at++)
        if (imc_bytes_same(text + at, count, word))
            return 1;
    return 0;
}

#endif

static char imc_bytes_hex(unsigned nibble)
{
    return "0123456789abcdef"[nibble & 15];
}

/* >>codes -------------------------------------------------------------------------------------------- *
 * Numbers into names and texts, all from the one table of Part II, so that they cannot disagree. Calls
 * nothing. */

IMAPCONNECT_API int imapconnect_code_is_fatal(int code)
{
    switch (code) {
#define IMC_CODE(name, number, fatal, text) \
    case number:                            \
        return fatal;
        IMAPCONNECT_CODES(IMC_CODE)
#undef IMC_CODE
    default:
        return 0;
    }
}

/* A transport that only has to be asked again. */
static int imc_codes_is_want(int returned)
{
    return returned == IMAPCONNECT_WANT_READ || returned == IMAPCONNECT_WANT_WRITE;
}

/* A transport's failure, made one of our codes. */
static int imc_codes_of_failure(int returned)
{
    return imapconnect_code_is_fatal(returned) ? returned : IMAPCONNECT_E_TRANSPORT;
}

/* What a transport returned in place of a number of bytes, made one of our codes. */
static int imc_codes_of_transport(int returned)
{
    return imc_codes_is_want(returned) ? returned : imc_codes_of_failure(returned);
}

#ifdef IMAPCONNECT_NO_STRINGS

IMAPCONNECT_API const char *imapconnect_strerror(int code)
{
    (void)code;
    return "";
}

IMAPCONNECT_API const char *imapconnect_code_name(int code)
{
    (void)code;
    return "";
}

#else

IMAPCONNECT_API const char *imapconnect_strerror(int code)
{
    switch (code) {
    case IMAPCONNECT_OK:
        return "no error";
#define IMC_CODE(name, number, fatal, text) \
    case number:                            \
        return text;
        IMAPCONNECT_CODES(IMC_CODE)
#undef IMC_CODE
    default:
        return "unknown code";
    }
}

IMAPCONNECT_API const char *imapconnect_code_name(int code)
{
    switch (code) {
    case IMAPCONNECT_OK:
        return "IMAPCONNECT_OK";
#define IMC_CODE(name, number, fatal, text) \
    case number:                            \
        return #name;
        IMAPCONNECT_CODES(IMC_CODE)
#undef IMC_CODE
    default:
        return "";
    }
}

#endif

/* >>sasl --------------------------------------------------------------------------------------------- *
 * Base64 and the payloads of mechanisms. Invariant: what was secret on the stack is wiped before a return.
 * Calls >>bytes, and wolfCrypt's hashes. */

/* The value of a base64 character, RFC 4648 section 4; -1 for any other. */
static int imc_sasl_base64_value(int c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (imc_bytes_is_digit(c))
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

#if defined(IMC_HAS_CRAM_MD5) || !defined(IMAPCONNECT_NO_COMMANDS) || !defined(IMAPCONNECT_NO_SASL)

/* RFC 4648 section 4, table 1. */
static char imc_sasl_base64_digit(uint32_t value)
{
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[value & 63];
}

#endif
#if defined(IMC_HAS_CRAM_MD5) || !defined(IMAPCONNECT_NO_SASL)

/* Encodes `count` bytes, padded: 4 * ((count + 2) / 3) characters at `out`. */
static size_t imc_sasl_base64_encode(char *out, const unsigned char *in, size_t count)
{
    size_t at, used = 0;
    for (at = 0; at < count; at += 3) {
        size_t rest = count - at;
        uint32_t bits = (uint32_t)in[at] << 16;
        bits |= rest > 1 ? (uint32_t)in[at + 1] << 8 : 0;
        bits |= rest > 2 ? (uint32_t)in[at + 2] : 0;
        out[used++] = imc_sasl_base64_digit(bits >> 18);
        out[used++] = imc_sasl_base64_digit(bits >> 12);
        out[used++] = rest > 1 ? imc_sasl_base64_digit(bits >> 6) : '=';
        out[used++] = rest > 2 ? imc_sasl_base64_digit(bits) : '=';
    }
    return used;
}

#endif
#if defined(IMC_HAS_CRAM_MD5) || defined(IMC_HAS_SCRAM)

/* -- hashes and HMAC, by wolfCrypt's plain hashes: its Hmac takes 896 bytes of stack, and refuses short keys in FIPS
   builds. What fails once has failed, and says so at the end -- */

enum imc_hash_kind { IMC_NO_HASH, IMC_MD5, IMC_SHA_1, IMC_SHA_256 };
#define IMC_HASH_BLOCK 64 /* bytes, of all three */
#ifdef IMC_HAS_SCRAM
#define IMC_HASH_FRAMES 512 /* what wolfCrypt's hashes take of the stack; SHA-256 of 5.5.4 takes 456 on x86-64 */
#else
#define IMC_HASH_FRAMES 176 /* its MD5 alone takes 164 */
#endif

#ifdef __GNUC__
#define IMC_BARE __attribute__((noinline, no_sanitize_address)) /* which would put gaps round an array */
#else
#define IMC_BARE
#endif

/* A hash leaves what it worked on in its own frames. They lay where this one lies now, so it has to be one. */
static IMC_BARE void imc_hash_wipe_below(void)
{
    unsigned char below[IMC_HASH_FRAMES];
    IMAPCONNECT_WIPE(below, sizeof below);
}

typedef struct imc_hash {
#ifdef IMC_HAS_SCRAM
    int kind;
#endif
    int failed; /* -1: it could not begin, and there is nothing to free */
    union {
#ifdef IMC_HAS_CRAM_MD5
        wc_Md5 md5;
#endif
#ifdef IMC_HAS_SCRAM_SHA_1
        wc_Sha sha_1;
#endif
#ifdef IMC_HAS_SCRAM
        wc_Sha256 sha_256;
#endif
    } is;
} imc_hash;

/* Where there is MD5 alone, nobody has to look. */
#ifdef IMC_HAS_SCRAM
#define IMC_HASH_KIND(hash) ((hash)->kind)
#else
#define IMC_HASH_KIND(hash) IMC_MD5
#endif

static size_t imc_hash_size(int kind)
{
    return kind == IMC_MD5 ? 16 : kind == IMC_SHA_1 ? 20 : 32;
}

static void imc_hash_begin(imc_hash *hash, int kind)
{
    int failed = 1;
#ifdef IMC_HAS_SCRAM
    hash->kind = kind;
#endif
    switch (kind) {
#ifdef IMC_HAS_CRAM_MD5
    case IMC_MD5:
        failed = wc_InitMd5(&hash->is.md5);
        break;
#endif
#ifdef IMC_HAS_SCRAM_SHA_1
    case IMC_SHA_1:
        failed = wc_InitSha(&hash->is.sha_1);
        break;
#endif
#ifdef IMC_HAS_SCRAM
    case IMC_SHA_256:
        failed = wc_InitSha256(&hash->is.sha_256);
        break;
#endif
    default:
        break;
    }
    hash->failed = failed != 0 ? -1 : 0;
}

static void imc_hash_add(imc_hash *hash, const void *bytes, size_t count)
{
    const byte *next = (const byte *)bytes;
    switch (hash->failed != 0 ? IMC_NO_HASH : IMC_HASH_KIND(hash)) {
#ifdef IMC_HAS_CRAM_MD5
    case IMC_MD5:
        hash->failed = wc_Md5Update(&hash->is.md5, next, (word32)count) != 0;
        break;
#endif
#ifdef IMC_HAS_SCRAM_SHA_1
    case IMC_SHA_1:
        hash->failed = wc_ShaUpdate(&hash->is.sha_1, next, (word32)count) != 0;
        break;
#endif
#ifdef IMC_HAS_SCRAM
    case IMC_SHA_256:
        hash->failed = wc_Sha256Update(&hash->is.sha_256, next, (word32)count) != 0;
        break;
#endif
    default:
        break;
    }
}

/* Gives the digest, and leaves nothing behind. Returns 0 when all went well. */
static int imc_hash_end(imc_hash *hash, unsigned char *digest)
{
    int failed = hash->failed;
    switch (failed < 0 ? IMC_NO_HASH : IMC_HASH_KIND(hash)) {
#ifdef IMC_HAS_CRAM_MD5
    case IMC_MD5:
        failed |= wc_Md5Final(&hash->is.md5, digest) != 0;
        wc_Md5Free(&hash->is.md5);
        break;
#endif
#ifdef IMC_HAS_SCRAM_SHA_1
    case IMC_SHA_1:
        failed |= wc_ShaFinal(&hash->is.sha_1, digest) != 0;
        wc_ShaFree(&hash->is.sha_1);
        break;
#endif
#ifdef IMC_HAS_SCRAM
    case IMC_SHA_256:
        failed |= wc_Sha256Final(&hash->is.sha_256, digest) != 0;
        wc_Sha256Free(&hash->is.sha_256);
        break;
#endif
    default:
        break;
    }
    imc_hash_wipe_below();
    IMAPCONNECT_WIPE(hash, sizeof *hash);
    return failed;
}

#ifdef IMC_HAS_SCRAM

static IMC_APART int imc_hash_whole(int kind, const void *bytes, size_t count, unsigned char *digest)
{
    imc_hash hash;
    imc_hash_begin(&hash, kind);
    imc_hash_add(&hash, bytes, count);
    return imc_hash_end(&hash, digest);
}

#endif

typedef struct imc_hmac_state {
    imc_hash hash;
    unsigned char key[IMC_HASH_BLOCK]; /* exclusive or the pad of this pass */
} imc_hmac_state;

/* The key of this pass into the hash, RFC 2104 section 2. */
static void imc_hmac_pass(imc_hmac_state *hmac, imc_hash *hash, int kind, unsigned pad)
{
    size_t i;
    for (i = 0; i < sizeof hmac->key; i++)
        hmac->key[i] = (unsigned char)(hmac->key[i] ^ pad);
    imc_hash_begin(hash, kind);
    imc_hash_add(hash, hmac->key, sizeof hmac->key);
}

/* A key longer than a block is replaced by its hash. */
static void imc_hmac_begin(imc_hmac_state *hmac, int kind, const void *key, size_t count)
{
    int failed = 0;
    memset(hmac->key, 0, sizeof hmac->key);
    if (count > sizeof hmac->key) {
        imc_hash_begin(&hmac->hash, kind);
        imc_hash_add(&hmac->hash, key, count);
        failed = imc_hash_end(&hmac->hash, hmac->key) != 0;
    } else {
        memcpy(hmac->key, key, count);
    }
    imc_hmac_pass(hmac, &hmac->hash, kind, 0x36);
    hmac->hash.failed |= failed;
}

static int imc_hmac_end(imc_hmac_state *hmac, unsigned char *digest)
{
    int kind = IMC_HASH_KIND(&hmac->hash), failed = imc_hash_end(&hmac->hash, digest);
    imc_hmac_pass(hmac, &hmac->hash, kind, 0x36 ^ 0x5c);
    imc_hash_add(&hmac->hash, digest, imc_hash_size(kind));
    failed |= imc_hash_end(&hmac->hash, digest);
    IMAPCONNECT_WIPE(hmac, sizeof *hmac);
    return failed;
}

static IMC_APART int imc_hmac(int kind, const void *key, size_t key_count, const void *text, size_t count,
                              unsigned char *digest)
{
    imc_hmac_state hmac;
    imc_hmac_begin(&hmac, kind, key, key_count);
    imc_hash_add(&hmac.hash, text, count);
    return imc_hmac_end(&hmac, digest);
}

#endif
#ifdef IMC_HAS_CRAM_MD5

/* -- CRAM-MD5 -- */

/* The answer to a CRAM-MD5 challenge, RFC 2195 section 2: base64 of "user digest". `out` holds the challenge at
   first, `count` bytes of it, and must have room for IMAPCONNECT_WRITE_SIZE. Returns the length of the answer, 0
   when there is no MD5. The text is put at the end of `out` and encoded towards its beginning: four characters
   for three bytes never overtake, since the whole is at most 288 bytes to 384 characters in 512. */
static size_t imc_sasl_cram_md5(char *out, size_t count, const char *username, const char *password)
{
    unsigned char digest[16];
    size_t user = imc_bytes_length(username, IMAPCONNECT_MAX_ARGUMENT);
    size_t plain = user + 1 + 2 * sizeof digest, used = 0, i;
    char *text = out + IMAPCONNECT_WRITE_SIZE - plain;
    if (imc_hmac(IMC_MD5, password, imc_bytes_length(password, IMAPCONNECT_MAX_ARGUMENT), out, count, digest) == 0) {
        memcpy(text, username, user);
        text[user] = ' ';
        for (i = 0; i < sizeof digest; i++) {
            text[user + 1 + 2 * i] = imc_bytes_hex(digest[i] >> 4u);
            text[user + 2 + 2 * i] = imc_bytes_hex(digest[i]);
        }
        used = imc_sasl_base64_encode(out, (const unsigned char *)text, plain);
    }
    IMAPCONNECT_WIPE(digest, sizeof digest);
    return used;
}

#endif
#ifndef IMAPCONNECT_NO_SASL

/* -- what a mechanism says first: a format, in which
      %0 %1 %2  stand for the first, second, third text
      %e        for the first text with "," and "=" escaped, RFC 5802 section 5.1: saslname
      %a        for "a=" and that, or for nothing when it is empty, RFC 5801 section 4: gs2-authzid
      %z        for NUL -- */

/* The next byte of the text that is under way; -1 behind its last. */
static int imc_payload_text(imapconnect_payload *payload)
{
    char c;
    if (payload->escape != 0 && *payload->escape != '\0')
        return (unsigned char)*payload->escape++;
    if (payload->text == 0 || *payload->text == '\0')
        return -1;
    c = *payload->text++;
    if (!payload->escapes || (c != ',' && c != '='))
        return (unsigned char)c;
    payload->escape = c == ',' ? "2C" : "3D";
    return '=';
}

/* The next byte of it; -1 behind the last. */
static int imc_payload_next(imapconnect_payload *payload, const char *const *texts)
{
    int next;
    while ((next = imc_payload_text(payload)) < 0) {
        char c = *payload->format;
        payload->format += c == '%' ? 2 : c != '\0';
        if (c != '%')
            return c == '\0' ? -1 : (unsigned char)c;
        c = payload->format[-1];
        if (c == 'z')
            return 0;
        payload->escapes = !imc_bytes_is_digit(c);
        payload->text = texts[payload->escapes ? 0 : c - '0'];
        if (c == 'a' && *payload->text != '\0')
            payload->escape = "a=";
    }
    return next;
}

#endif
#ifdef IMC_HAS_SCRAM

/* -- SCRAM, RFC 5802 -- */

#define IMC_SCRAM_BARE     "n=%e,r=%2" /* client-first-message-bare, section 7 */
#define IMC_SCRAM_SLICE    256         /* iterations between two looks at the clock */
#define IMC_SCRAM_SALT     64          /* bytes at most */
#define IMC_SCRAM_NONCE    200         /* characters at most, with ours */
#define IMC_SCRAM_EXPORTED 32          /* bytes that the exchange is bound to, RFC 9266 section 2 */

/* What an exchange rests on, and what the server's first message says. */
typedef struct imc_scram {
    int hash;
    const char *const *texts; /* user name, password, our nonce */
    imc_slice message;
    imc_slice nonce;
    imc_slice salt; /* base64 */
    uint32_t iterations;
} imc_scram;

/* 18 random bytes make 24 characters. Returns 0 when there are any. */
static int imc_scram_nonce(char *nonce)
{
    WC_RNG rng;
    unsigned char bytes[18];
    int failed;
    if (wc_InitRng(&rng) != 0)
        return 1;
    failed = wc_RNG_GenerateBlock(&rng, bytes, sizeof bytes) != 0;
    wc_FreeRng(&rng);
    nonce[imc_sasl_base64_encode(nonce, bytes, sizeof bytes)] = '\0';
    return failed;
}

/* Takes "x=value" and the comma behind it off `rest`. Returns 0 when something else stands there. */
static int imc_scram_attribute(imc_slice *rest, int name, imc_slice *value)
{
    size_t count = 2;
    if (rest->count < 3 || rest->bytes[0] != name || rest->bytes[1] != '=')
        return 0;
    while (count < rest->count && rest->bytes[count] != ',')
        count++;
    value->bytes = rest->bytes + 2;
    value->count = count - 2;
    count += count < rest->count;
    rest->bytes += count;
    rest->count -= count;
    return value->count != 0;
}

/* server-first-message, section 7. Extensions may stand behind it, but none that must be understood ("m="), which is the
   first. The nonce begins with ours, and has something of the server's. */
static int imc_scram_parse(imc_scram *scram)
{
    imc_slice rest = scram->message, count;
    size_t ours = strlen(scram->texts[2]);
    if (!imc_scram_attribute(&rest, 'r', &scram->nonce) || !imc_scram_attribute(&rest, 's', &scram->salt) ||
        !imc_scram_attribute(&rest, 'i', &count) ||
        !imc_bytes_number((const char *)count.bytes, count.count, &scram->iterations))
        return 0;
    return scram->nonce.count > ours && scram->nonce.count <= IMC_SCRAM_NONCE &&
           memcmp(scram->nonce.bytes, scram->texts[2], ours) == 0;
}

/* Strict base64 into at most `room` bytes; 0 when it is none, or none at all. */
static size_t imc_scram_decode(const imc_slice *text, unsigned char *out, size_t room)
{
    size_t padding = 0, used = 0, at;
    uint32_t bits = 0;
    if (text->count % 4 != 0 || text->count / 4 * 3 > room)
        return 0;
    for (at = 0; at < text->count; at++) {
        int value = imc_sasl_base64_value(text->bytes[at]);
        if (text->bytes[at] == '=' && at + 2 >= text->count)
            padding++, value = 0;
        else if (value < 0 || padding != 0)
            return 0;
        bits = bits << 6 | (uint32_t)value;
        if (at % 4 != 3)
            continue;
        out[used++] = (unsigned char)(bits >> 16);
        out[used++] = (unsigned char)(bits >> 8);
        out[used++] = (unsigned char)bits;
    }
    if ((bits & ((1u << (8 * padding)) - 1)) != 0)
        return 0;
    return used - padding;
}

/* The first iteration of Hi(), section 2.2, which is PBKDF2 of RFC 8018. Returns 0, or an error. */
static int imc_scram_begin(const imc_scram *scram, imapconnect_scram *key)
{
    unsigned char salt[IMC_SCRAM_SALT + 4];
    const char *password = scram->texts[1];
    size_t count = imc_scram_decode(&scram->salt, salt, IMC_SCRAM_SALT);
    if (count == 0)
        return IMAPCONNECT_E_SCRAM;
    memcpy(salt + count, "\0\0\0\1", 4);
    key->left = scram->iterations - 1;
    if (imc_hmac(scram->hash, password, strlen(password), salt, count + 4, key->last) != 0)
        return IMAPCONNECT_E_AUTHENTICATE;
    memcpy(key->sum, key->last, sizeof key->sum);
    return 0;
}

/* A copy of a hash that has begun; wolfCrypt copies it, since it may live in a chip. */
static void imc_scram_copy(imc_hash *from, imc_hash *to)
{
    int failed = 1;
    to->kind = from->kind;
#ifdef IMC_HAS_SCRAM_SHA_1
    if (from->failed == 0 && from->kind == IMC_SHA_1)
        failed = wc_ShaCopy(&from->is.sha_1, &to->is.sha_1);
#endif
    if (from->failed == 0 && from->kind == IMC_SHA_256)
        failed = wc_Sha256Copy(&from->is.sha_256, &to->is.sha_256);
    to->failed = failed != 0 ? -1 : 0;
}

/* Some more iterations, so that a slow device can do other things between. Both passes of HMAC begin with the same
   block, which is hashed once. Returns 0 when it went well. Apart, as what follows: in the frame of a caller it would be
   a part of every path through that. */
static IMC_APART int imc_scram_derive(int kind, const char *password, imapconnect_scram *key)
{
    imc_hmac_state inner;
    imc_hash outer, work;
    size_t size = imc_hash_size(kind), turns, i;
    int failed = 0;
    imc_hmac_begin(&inner, kind, password, strlen(password));
    imc_hmac_pass(&inner, &outer, kind, 0x36 ^ 0x5c);
    for (turns = 0; turns < IMC_SCRAM_SLICE && key->left > 0; turns++, key->left--) {
        imc_scram_copy(&inner.hash, &work);
        imc_hash_add(&work, key->last, size);
        failed |= imc_hash_end(&work, key->last);
        imc_scram_copy(&outer, &work);
        imc_hash_add(&work, key->last, size);
        failed |= imc_hash_end(&work, key->last);
        for (i = 0; i < size; i++)
            key->sum[i] = (uint8_t)(key->sum[i] ^ key->last[i]);
    }
    failed |= imc_hash_end(&inner.hash, inner.key);
    failed |= imc_hash_end(&outer, inner.key);
    IMAPCONNECT_WIPE(&inner, sizeof inner);
    return failed;
}

/* HMAC(key, AuthMessage), section 3: all three messages without the proof. */
static IMC_APART int imc_scram_sign(const imc_scram *scram, const unsigned char *key, const char *binding,
                                    unsigned char *out)
{
    imc_hmac_state hmac;
    imapconnect_payload bare;
    int c;
    memset(&bare, 0, sizeof bare);
    bare.format = IMC_SCRAM_BARE;
    imc_hmac_begin(&hmac, scram->hash, key, imc_hash_size(scram->hash));
    while ((c = imc_payload_next(&bare, scram->texts)) >= 0) {
        unsigned char next = (unsigned char)c;
        imc_hash_add(&hmac.hash, &next, 1);
    }
    imc_hash_add(&hmac.hash, ",", 1);
    imc_hash_add(&hmac.hash, scram->message.bytes, scram->message.count);
    imc_hash_add(&hmac.hash, ",c=", 3);
    imc_hash_add(&hmac.hash, binding, strlen(binding));
    imc_hash_add(&hmac.hash, ",r=", 3);
    imc_hash_add(&hmac.hash, scram->nonce.bytes, scram->nonce.count);
    return imc_hmac_end(&hmac, out);
}

/* ClientProof, and ServerSignature, from SaltedPassword: section 3. */
static IMC_APART int imc_scram_prove(const imc_scram *scram, imapconnect_scram *salted, const char *binding,
                                     unsigned char *proof, unsigned char *signature)
{
    unsigned char *key = salted->last;
    size_t size = imc_hash_size(scram->hash), i;
    int failed = imc_hmac(scram->hash, salted->sum, size, "Client Key", 10, key);
    memcpy(proof, key, size);
    failed |= imc_hash_whole(scram->hash, key, size, key); /* StoredKey */
    failed |= imc_scram_sign(scram, key, binding, key);
    for (i = 0; i < size; i++)
        proof[i] = (unsigned char)(proof[i] ^ key[i]);
    failed |= imc_hmac(scram->hash, salted->sum, size, "Server Key", 10, key);
    return failed | imc_scram_sign(scram, key, binding, signature);
}

/* client-final-message, in base64. `out` holds the server's message at first, and must have room for
   IMAPCONNECT_WRITE_SIZE. As with CRAM-MD5 it is put together at the end, and encoded towards the beginning; with a nonce
   of 200 characters it is 316 bytes at most. Returns its length. */
static size_t imc_scram_compose(const imc_scram *scram, const char *binding, const unsigned char *proof, char *out)
{
    size_t bound = strlen(binding), nonce = scram->nonce.count, size = imc_hash_size(scram->hash);
    size_t count = 8 + bound + nonce + (size + 2) / 3 * 4;
    char *text = out + IMAPCONNECT_WRITE_SIZE - count, *next = text + 5 + bound;
    memmove(next, scram->nonce.bytes, nonce);
    memcpy(text, "c=", 2);
    memcpy(text + 2, binding, bound);
    memcpy(text + 2 + bound, ",r=", 3);
    memcpy(next + nonce, ",p=", 3);
    (void)imc_sasl_base64_encode(next + nonce + 3, proof, size);
    return imc_sasl_base64_encode(out, (const unsigned char *)text, count);
}

#endif

/* >>names -------------------------------------------------------------------------------------------- *
 * The server's text into host, port and, for a numeric address, its bytes. Invariant: a text that two
 * programs could read in two ways is refused. Nothing is looked up here. Calls >>bytes. */

/* The digits that a text begins with; returns how many, and their number, if it is below 2^32. */
static size_t imc_names_digits(const char *text, size_t count, int base, uint32_t *number)
{
    size_t at;
    *number = 0;
    for (at = 0; at < count; at++) {
        int c = imc_bytes_upper(text[at]);
        int digit = imc_bytes_is_digit(c) ? c - '0' : c >= 'A' ? c - 'A' + 10 : base;
        if (digit >= base)
            break;
        *number = *number * (uint32_t)base + (uint32_t)digit;
    }
    return at;
}

/* "1.2.3.4" into four bytes. Leading zeros are refused: to some 010 is eight. Returns 4, or 0. */
static size_t imc_names_ipv4(const char *text, size_t count, uint8_t *address)
{
    size_t at = 0, part;
    for (part = 0; part < 4; part++) {
        uint32_t number;
        size_t digits = imc_names_digits(text + at, count - at, 10, &number);
        if (digits == 0 || digits > 3 || number > 255 || (text[at] == '0' && digits > 1))
            return 0;
        address[part] = (uint8_t)number;
        at += digits;
        if (part < 3 && (at == count || text[at++] != '.'))
            return 0;
    }
    return at == count ? 4 : 0;
}

/* One group of up to four hex digits; returns how many, 0 when it is none. */
static size_t imc_names_group(const char *text, size_t count, uint8_t *out)
{
    uint32_t number;
    size_t digits = imc_names_digits(text, count, 16, &number);
    out[0] = (uint8_t)(number >> 8);
    out[1] = (uint8_t)number;
    return digits > 4 ? 0 : digits;
}

/* An IPv6 address, RFC 4291 section 2.2, into sixteen bytes. Returns 16, or 0. */
static size_t imc_names_ipv6(const char *text, size_t count, uint8_t *address)
{
    size_t at = 0, used = 0, gap = 17; /* where "::" stands; 17 for nowhere */
    if (count >= 2 && text[0] == ':' && text[1] == ':') {
        gap = 0;
        at = 2;
    }
    while (at < count && used < 16) {
        size_t digits;
        if (used <= 12 && imc_names_ipv4(text + at, count - at, address + used) != 0) {
            used += 4;
            at = count;
            break;
        }
        digits = imc_names_group(text + at, count - at, address + used);
        if (digits == 0)
            return 0;
        at += digits;
        used += 2;
        if (at == count)
            break;
        if (text[at++] != ':' || at == count)
            return 0; /* nothing may follow but a colon and another group, or "::" */
        if (text[at] == ':') {
            if (gap != 17)
                return 0;
            gap = used;
            at++;
        }
    }
    if (at != count || (gap == 17 ? used != 16 : used > 14))
        return 0;
    if (gap != 17) {
        memmove(address + 16 - (used - gap), address + gap, used - gap);
        memset(address + gap, 0, 16 - used);
    }
    return 16;
}

/* Would a resolver take this label for a number? "1", "017", "0x7f". */
static int imc_names_is_number(const char *label, size_t count)
{
    size_t hex = count > 1 && label[0] == '0' && imc_bytes_upper(label[1]) == 'X' ? 2 : 0;
    uint32_t number;
    return imc_names_digits(label + hex, count - hex, hex != 0 ? 16 : 10, &number) == count - hex;
}

/* A host name by its bytes, and not one that a resolver may take for an address ("127.1", "0x7f000001"): the last label
   must not be a number. */
static int imc_names_is_host(const char *text, size_t count)
{
    size_t i, label = 0;
    if (count == 0 || count > IMAPCONNECT_MAX_HOST || text[0] == '-' || text[0] == '.')
        return 0;
    for (i = 0; i < count; i++) {
        int c = imc_bytes_upper(text[i]);
        if (c == '.' && i + 1 < count)
            label = i + 1;
        if ((c < 'A' || c > 'Z') && !imc_bytes_is_digit(c) && c != '.' && c != '-' && c != '_')
            return 0;
    }
    count -= text[count - 1] == '.';
    return !imc_names_is_number(text + label, count - label);
}

/* ":1143" into a number; 0 when it is none from 1 to 65535. Nothing at all is `otherwise`. */
static uint16_t imc_names_port(const char *text, size_t count, uint16_t otherwise)
{
    uint32_t number;
    if (count == 0)
        return otherwise;
    if (text[0] != ':' || count > 6 || imc_names_digits(text + 1, count - 1, 10, &number) != count - 1)
        return 0;
    return (uint16_t)(number > 65535 ? 0 : number);
}

/* Where the host ends: at "]", or before the only colon; a text with two colons is an IPv6 address. */
static size_t imc_names_host_length(const char *text, size_t count)
{
    const char *end = (const char *)memchr(text, text[0] == '[' ? ']' : ':', count);
    if (end == 0)
        return count;
    if (*end == ']')
        return (size_t)(end - text) + 1;
    return memchr(end + 1, ':', (size_t)(text + count - end) - 1) != 0 ? count : (size_t)(end - text);
}

/* Takes the server's text apart. Returns 0 or IMAPCONNECT_E_VALUE. */
static IMC_APART int imc_names_parse(imapconnect_server *server, const char *text, uint16_t otherwise)
{
    size_t count = imc_bytes_length(text, IMAPCONNECT_MAX_HOST + 9); /* brackets, colon, port, and one too many */
    size_t host = imc_names_host_length(text, count);
    int bracket = count > 0 && text[0] == '[';
    memset(server, 0, sizeof *server);
    server->port = imc_names_port(text + host, count - host, otherwise);
    if (server->port == 0)
        return IMAPCONNECT_E_VALUE;
    if (bracket && (host < 4 || text[host - 1] != ']'))
        return IMAPCONNECT_E_VALUE;
    server->host = text + bracket;
    host -= bracket ? 2 : 0;
    server->address_length = (uint8_t)imc_names_ipv6(server->host, host, server->address);
    if (server->address_length == 0 && !bracket)
        server->address_length = (uint8_t)imc_names_ipv4(server->host, host, server->address);
    if (server->address_length == 0 && (bracket || !imc_names_is_host(server->host, host)))
        return IMAPCONNECT_E_VALUE;
    server->length = (uint8_t)host;
    return 0;
}

#ifndef IMAPCONNECT_NO_COMMANDS

/* -- mailbox names: UTF-8 for the caller, modified UTF-7 on the wire, RFC 3501 section 5.1.3 -- */

#define IMC_NO_CHARACTER 0xffffffffu
#define IMC_RAW_NAME     '\xff' /* in front of a name that goes as it stands */

/* The next character of a text, and `*at` behind it; 0 at its end. Strict: RFC 3629 section 4. */
static uint32_t imc_names_character(const char **at)
{
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000}; /* what is shorter could have been written so */
    const unsigned char *next = (const unsigned char *)*at;
    uint32_t c = *next;
    unsigned more = c < 0x80 ? 0 : c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3, i;
    if ((c >= 0x80 && c < 0xc2) || c > 0xf4)
        return IMC_NO_CHARACTER;
    c &= more == 0 ? 0x7fu : 0x3fu >> more;
    for (i = 1; i <= more; i++) {
        if ((next[i] & 0xc0) != 0x80)
            return IMC_NO_CHARACTER;
        c = c << 6 | (next[i] & 0x3fu);
    }
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return IMC_NO_CHARACTER;
    *at += more + (c != 0);
    return c;
}

static int imc_names_is_utf8(const char *text)
{
    uint32_t c;
    while ((c = imc_names_character(&text)) != 0)
        if (c == IMC_NO_CHARACTER)
            return 0;
    return 1;
}

/* Those that stand for themselves in modified UTF-7, "&" among them, as "&-". */
static int imc_names_is_plain(uint32_t c)
{
    return c >= 0x20 && c <= 0x7e;
}

/* Sixteen bits more for the base64 between "&" and "-"; its alphabet has "," in place of "/". */
static size_t imc_names_shift(imapconnect_utf7 *state, uint32_t unit, char *out)
{
    uint32_t bits = (uint32_t)state->bits << 16 | unit;
    unsigned count = state->count + 16u;
    size_t used = 0;
    while (count >= 6) {
        char digit = imc_sasl_base64_digit(bits >> (count -= 6));
        out[used++] = digit == '/' ? ',' : digit;
    }
    state->bits = (uint8_t)(bits & ((1u << count) - 1));
    state->count = (uint8_t)count;
    return used;
}

/* Ends the base64: the bits that are left, and "-". */
static size_t imc_names_unshift(imapconnect_utf7 *state, char *out)
{
    size_t used = 0;
    if (!state->open)
        return 0;
    if (state->count != 0)
        out[used++] = imc_sasl_base64_digit((uint32_t)state->bits << (6 - state->count));
    out[used++] = '-';
    memset(state, 0, sizeof *state);
    return used;
}

/* One character; at most eight bytes. */
static size_t imc_names_encode(imapconnect_utf7 *state, uint32_t c, char *out)
{
    size_t used = 0;
    if (imc_names_is_plain(c)) {
        used = imc_names_unshift(state, out);
        out[used++] = (char)c;
        if (c == '&')
            out[used++] = '-';
        return used;
    }
    if (!state->open)
        out[used++] = '&';
    state->open = 1;
    if (c > 0xffff) {
        used += imc_names_shift(state, 0xd7c0 + (c >> 10), out + used);
        c = 0xdc00 | (c & 0x3ff);
    }
    return used + imc_names_shift(state, c, out + used);
}

#ifndef IMAPCONNECT_NO_MAILBOXES

/* A character as UTF-8; returns how many bytes. */
static size_t imc_names_put(char *out, uint32_t c)
{
    unsigned more = c < 0x80 ? 0 : c < 0x800 ? 1 : c < 0x10000 ? 2 : 3, i;
    out[0] = (char)(more == 0 ? c : (0xf00u >> (more + 1) & 0xf0u) | c >> (6 * more));
    for (i = 1; i <= more; i++)
        out[i] = (char)(0x80 | (c >> (6 * (more - i)) & 0x3f));
    return more + 1;
}

typedef struct imc_utf7_reader {
    const char *at;
    const char *end;
    char *out; /* 0: only to see whether it can be done */
    size_t used;
} imc_utf7_reader;

static void imc_names_write(imc_utf7_reader *r, uint32_t c)
{
    char spare[4];
    r->used += imc_names_put(r->out != 0 ? r->out + r->used : spare, c);
}

/* What stands between "&" and "-". Returns 0 when it is not what our own writer would have written. */
static int imc_names_decode_shifted(imc_utf7_reader *r)
{
    uint32_t bits = 0, high = 0;
    unsigned count = 0, units = 0;
    for (; r->at < r->end && *r->at != '-'; r->at++) {
        int value = *r->at == ',' ? 63 : *r->at == '/' ? -1 : imc_sasl_base64_value(*r->at);
        uint32_t unit;
        if (value < 0)
            return 0;
        bits = bits << 6 | (uint32_t)value;
        count += 6;
        if (count < 16)
            continue;
        count -= 16;
        unit = bits >> count & 0xffff;
        bits &= (1u << count) - 1;
        units++;
        if ((unit & 0xfc00) == 0xd800 && high == 0) {
            high = unit;
            continue;
        }
        if (((unit & 0xfc00) == 0xdc00) != (high != 0) || imc_names_is_plain(unit))
            return 0;
        if (unit == '\0' || unit == '\r' || unit == '\n')
            return 0; /* no name that we could send */
        if (high != 0)
            unit += ((high - 0xd7c0) << 10) - 0xdc00;
        high = 0;
        imc_names_write(r, unit);
    }
    return r->at++ < r->end && units != 0 && high == 0 && count < 6 && bits == 0;
}

/* Modified UTF-7 into UTF-8, of which there may be one byte in eight more; `out` may be 0. Returns how many bytes, or 0
   when the name is not canonical: then it could not be found again under the UTF-8 that it seems to be. */
static size_t imc_names_decode(const char *text, size_t count, char *out)
{
    imc_utf7_reader r;
    int shifted = 0; /* the last thing was a shifted part: another one would belong to it */
    r.at = text;
    r.end = text + count;
    r.out = out;
    r.used = 0;
    while (r.at < r.end) {
        char c = *r.at++;
        if (!imc_names_is_plain((unsigned char)c))
            return 0;
        if (c == '&' && r.at < r.end && *r.at != '-') {
            if (shifted || !imc_names_decode_shifted(&r))
                return 0;
            shifted = 1;
            continue;
        }
        if (c == '&' && r.at++ == r.end)
            return 0;
        imc_names_write(&r, (unsigned char)c);
        shifted = 0;
    }
    return r.used;
}

#endif

#endif

/* >>lexer -------------------------------------------------------------------------------------------- *
 * Bytes into tokens, however they are cut. Invariant: it holds one short word and no line, so that a line
 * may be of any length, and every chunking of the same bytes gives the same tokens. CRLF alone ends a
 * line; a bare CR or LF, and NUL, are malformed (RFC 3501 section 9). Calls >>bytes. */

enum imc_mode {
    IMC_WORDS, /* atoms with single spaces between; the start of every line is read so */
    IMC_TEXT,  /* text for people, in which "{5}" is text */
    IMC_DATA,  /* a response's data, of which only quoted strings and literals are told apart */
    IMC_VALUES /* the same, and each value of it matters to somebody */
};

enum imc_token {
    IMC_MORE,          /* no input left */
    IMC_WORD,          /* lexer.word */
    IMC_SPACE,         /* one space */
    IMC_PIECE,         /* some bytes of a text, an atom or a quoted string */
    IMC_STRING,        /* a quoted string begins; what comes behind its last byte ends it */
    IMC_OPEN,          /* "(" */
    IMC_CLOSE,         /* ")" */
    IMC_LITERAL_BEGIN, /* {n} CRLF */
    IMC_LITERAL_PIECE, /* some bytes of the literal */
    IMC_LITERAL_END,
    IMC_LINE_END, /* CRLF */
    IMC_MALFORMED
};

/* imapconnect_lexer.quoted; IMC_DATA knows the first three. */
enum imc_quote {
    IMC_NOT_QUOTED,
    IMC_QUOTED,
    IMC_ESCAPED,    /* behind the backslash */
    IMC_WAS_QUOTED, /* a string has just ended */
    IMC_IN_ATOM,
    IMC_IN_SECTION /* of BODY[HEADER.FIELDS (TO CC)], where spaces and parentheses end nothing */
};

enum imc_brace {
    IMC_BRACE_NONE,
    IMC_BRACE_OPEN,       /* "{", "{1" */
    IMC_BRACE_CLOSED,     /* "{1}": a literal if CRLF is next */
    IMC_BRACE_PLUS,       /* "{1+" */
    IMC_BRACE_PLUS_CLOSED /* "{1+}": no server may say that, RFC 7888 section 3 */
};

/* The bytes of a literal, as many as are here: a message never waits to be whole. One of no bytes has an end, too. */
static int imc_lexer_literal(imapconnect_lexer *lexer, const char **at, const char *end, imc_slice *piece)
{
    if (lexer->number == 0) {
        lexer->in_literal = 0;
        lexer->quoted = lexer->mode == IMC_VALUES ? IMC_WAS_QUOTED : IMC_NOT_QUOTED;
        return IMC_LITERAL_END;
    }
    if (*at == end)
        return IMC_MORE;
    piece->bytes = (const unsigned char *)*at;
    piece->count = imc_bytes_least((size_t)(end - *at), lexer->number);
    lexer->number -= (uint32_t)piece->count;
    *at += piece->count;
    return IMC_LITERAL_PIECE;
}

/* The byte behind CR. A line that ends in "{n}" goes on with a literal; a number is one to ten digits and below
   2^32 (RFC 3501 section 9), and sizes no buffer. */
static int imc_lexer_line_end(imapconnect_lexer *lexer, const char **at)
{
    int brace = lexer->brace, quoted = lexer->quoted;
    if (lexer->mode < IMC_DATA)
        brace = quoted = 0;
    if (**at != '\n' || quoted == IMC_QUOTED || quoted == IMC_ESCAPED || quoted == IMC_IN_SECTION)
        return IMC_MALFORMED;
    if (brace == IMC_BRACE_PLUS_CLOSED || (brace == IMC_BRACE_CLOSED && lexer->digits > 10))
        return IMC_MALFORMED;
    if (lexer->mode == IMC_VALUES && brace != IMC_BRACE_NONE && brace != IMC_BRACE_CLOSED)
        return IMC_MALFORMED;
    ++*at;
    lexer->carriage = 0;
    lexer->brace = IMC_BRACE_NONE;
    lexer->quoted = IMC_NOT_QUOTED;
    if (brace == IMC_BRACE_CLOSED) {
        lexer->in_literal = 1;
        return IMC_LITERAL_BEGIN;
    }
    lexer->mode = IMC_WORDS;
    lexer->length = 0;
    lexer->ended = 0;
    return IMC_LINE_END;
}

/* More of the word; what does not fit makes it a word that nobody knows. */
static void imc_lexer_keep(imapconnect_lexer *lexer, const char *bytes, size_t count)
{
    count = imc_bytes_least(count, sizeof lexer->word - lexer->length);
    memcpy(lexer->word + lexer->length, bytes, count);
    lexer->length = (uint8_t)(lexer->length + count);
}

/* What ends a word. Quoted strings and literals are none, and do not stand where words are read. */
static int imc_lexer_is_stop(int c)
{
    return c == '{' || (c <= '"' && (c == ' ' || c == '\r' || c == '\n' || c == '\0' || c == '"'));
}

static int imc_lexer_words(imapconnect_lexer *lexer, const char **at, const char *end)
{
    const char *next = *at;
    if (lexer->ended) {
        lexer->ended = 0;
        lexer->length = 0;
    }
    while (next < end && !imc_lexer_is_stop(*next))
        next++;
    imc_lexer_keep(lexer, *at, (size_t)(next - *at));
    *at = next;
    if (next == end)
        return IMC_MORE;
    if (lexer->length != 0 && (*next == ' ' || *next == '\r')) {
        lexer->ended = 1;
        return IMC_WORD;
    }
    if (*next != ' ')
        return IMC_MALFORMED;
    ++*at;
    return IMC_SPACE;
}

/* A number that does not fit in 32 bits stays marked as one of too many digits, whatever follows. */
static void imc_lexer_digit(imapconnect_lexer *lexer, int c)
{
    uint32_t digit = (uint32_t)(c - '0');
    lexer->digits = (uint8_t)(lexer->digits > 10 ? 11 : lexer->digits + 1);
    if (lexer->number > (0xffffffffu - digit) / 10)
        lexer->digits = 11;
    lexer->number = lexer->number * 10 + digit;
}

/* Follows "{n}" outside of quoted strings. */
static void imc_lexer_brace(imapconnect_lexer *lexer, int c)
{
    int was = lexer->brace;
    lexer->brace = IMC_BRACE_NONE;
    if (c == '{') {
        lexer->brace = IMC_BRACE_OPEN;
        lexer->digits = 0;
        lexer->number = 0;
    } else if (was == IMC_BRACE_OPEN && imc_bytes_is_digit(c)) {
        lexer->brace = IMC_BRACE_OPEN;
        imc_lexer_digit(lexer, c);
    } else if (was == IMC_BRACE_OPEN && lexer->digits != 0 && (c == '}' || c == '+')) {
        lexer->brace = c == '}' ? IMC_BRACE_CLOSED : IMC_BRACE_PLUS;
    } else if (was == IMC_BRACE_PLUS && c == '}') {
        lexer->brace = IMC_BRACE_PLUS_CLOSED;
    }
}

/* A response's data up to CR. */
static int imc_lexer_data(imapconnect_lexer *lexer, const char **at, const char *end)
{
    const char *next;
    for (next = *at; next < end && *next != '\r'; next++) {
        int c = *next;
        if (c == '\n' || c == '\0') {
            *at = next;
            return IMC_MALFORMED;
        }
        if (lexer->quoted == IMC_ESCAPED)
            lexer->quoted = IMC_QUOTED;
        else if (lexer->quoted)
            lexer->quoted = c == '\\' ? IMC_ESCAPED : c != '"' ? IMC_QUOTED : IMC_NOT_QUOTED;
        else if (c == '"')
            lexer->quoted = IMC_QUOTED;
        if (c == '{' || lexer->brace != IMC_BRACE_NONE) {
            if (lexer->quoted || c == '"')
                lexer->brace = IMC_BRACE_NONE;
            else
                imc_lexer_brace(lexer, c);
        }
    }
    *at = next;
    return IMC_MORE;
}

#ifndef IMAPCONNECT_NO_COMMANDS

/* Some bytes of a value, from `*at` to `next`. There must be one. */
static int imc_lexer_piece(const char **at, const char *next, imc_slice *piece)
{
    if (next == *at)
        return IMC_MALFORMED;
    piece->bytes = (const unsigned char *)*at;
    piece->count = (size_t)(next - *at);
    *at = next;
    return IMC_PIECE;
}

/* Bytes of a quoted string without its backslashes, RFC 3501 section 9: quoted. */
static int imc_lexer_quoted(imapconnect_lexer *lexer, const char **at, const char *end, imc_slice *piece)
{
    const char *next = *at;
    if (lexer->quoted == IMC_ESCAPED) {
        lexer->quoted = IMC_QUOTED;
        return imc_lexer_piece(at, next + (*next == '"' || *next == '\\'), piece);
    }
    while (next < end && *next != '"' && *next != '\\' && *next != '\r' && *next != '\n' && *next != '\0')
        next++;
    if (next > *at || (*next != '"' && *next != '\\'))
        return imc_lexer_piece(at, next, piece);
    lexer->quoted = *next == '"' ? IMC_WAS_QUOTED : IMC_ESCAPED;
    ++*at;
    return IMC_MORE;
}

/* Bytes of an atom. It stops behind "[", so that who knows that a section begins can say so. */
static int imc_lexer_atom(imapconnect_lexer *lexer, const char **at, const char *end, imc_slice *piece)
{
    int section = lexer->quoted == IMC_IN_SECTION;
    int last = section ? ']' : '[';
    const char *next = *at;
    lexer->quoted = section ? IMC_IN_SECTION : IMC_IN_ATOM;
    while (next < end && (unsigned char)*next >= 0x20 &&
           (section || (*next != ' ' && *next != '(' && *next != ')' && *next != '"' && *next != '{')))
        if (*next++ == last) {
            lexer->quoted = IMC_IN_ATOM;
            break;
        }
    return imc_lexer_piece(at, next, piece);
}

/* The next token of data whose values matter; IMC_MORE when that was none yet. */
static int imc_lexer_values(imapconnect_lexer *lexer, const char **at, const char *end, imc_slice *piece)
{
    int c = **at;
    if (lexer->quoted == IMC_QUOTED || lexer->quoted == IMC_ESCAPED)
        return imc_lexer_quoted(lexer, at, end, piece);
    if (lexer->brace != IMC_BRACE_NONE && c == '{')
        return IMC_MALFORMED;
    if (lexer->brace != IMC_BRACE_NONE || (c == '{' && lexer->quoted == IMC_NOT_QUOTED)) {
        imc_lexer_brace(lexer, c);
        if (lexer->brace == IMC_BRACE_NONE)
            return IMC_MALFORMED;
        ++*at;
        return IMC_MORE;
    }
    if (lexer->quoted != IMC_IN_SECTION && (c == ' ' || c == ')' || (c == '(' && !lexer->quoted))) {
        lexer->quoted = IMC_NOT_QUOTED;
        ++*at;
        return c == ' ' ? IMC_SPACE : c == '(' ? IMC_OPEN : IMC_CLOSE;
    }
    if (c == '"' && lexer->quoted == IMC_NOT_QUOTED) {
        lexer->quoted = IMC_QUOTED;
        ++*at;
        return IMC_STRING;
    }
    return lexer->quoted == IMC_WAS_QUOTED ? IMC_MALFORMED : imc_lexer_atom(lexer, at, end, piece);
}

#endif

/* Text goes on to CR. LF, NUL and CR on their own are no text, RFC 3501 section 9; bytes above 0x7f are taken as
   they come, since servers send them. */
static int imc_lexer_text(const char **at, const char *end, imc_slice *piece)
{
    static const char stops[] = {'\r', '\n', '\0'};
    size_t count = (size_t)(end - *at), i;
    for (i = 0; i < sizeof stops && count > 0; i++) {
        const char *stop = (const char *)memchr(*at, stops[i], count);
        if (stop != 0)
            count = (size_t)(stop - *at);
    }
    if (count == 0)
        return IMC_MALFORMED;
    piece->bytes = (const unsigned char *)*at;
    piece->count = count;
    *at += count;
    return IMC_PIECE;
}

/* The next token of the bytes from `*at` to `end`, moving `*at` behind it. */
static IMC_APART int imc_lexer_next(imapconnect_lexer *lexer, const char **at, const char *end, imc_slice *piece)
{
    for (;;) {
        int token;
        if (lexer->in_literal)
            return imc_lexer_literal(lexer, at, end, piece);
        if (*at == end)
            return IMC_MORE;
        if (lexer->carriage)
            return imc_lexer_line_end(lexer, at);
        if (**at == '\r' && (lexer->mode != IMC_WORDS || lexer->length == 0 || lexer->ended)) {
            lexer->carriage = 1;
            ++*at;
            continue;
        }
        if (lexer->mode == IMC_TEXT)
            return imc_lexer_text(at, end, piece);
        if (lexer->mode == IMC_WORDS)
            return imc_lexer_words(lexer, at, end);
#ifndef IMAPCONNECT_NO_COMMANDS
        if (lexer->mode == IMC_VALUES)
            token = imc_lexer_values(lexer, at, end, piece);
        else
#endif
            token = imc_lexer_data(lexer, at, end);
        if (token != IMC_MORE)
            return token;
    }
}

/* >>stream ------------------------------------------------------------------------------------------- *
 * What the server sends, on its way to the log, to the list and to the caller; what the client sends, on
 * its way to the log. Invariant: each byte passes once and in order, and nothing that is secret passes.
 * Nothing is understood here. */

/* The first error wins, and stays. It is the engine's, and stands here since a callback may cancel. */
static void imc_engine_fail(imapconnect_engine *engine, int code)
{
    if (engine->error != 0)
        return;
    engine->error = (int16_t)code;
    engine->failed_state = engine->state;
}

/* -- the log -- */

static void imc_log_flush(imapconnect_engine *engine, int more)
{
    int direction = engine->log_direction | (more ? IMAPCONNECT_LOG_MORE : 0);
    if (engine->on_log(engine->config->user, direction, engine->log, engine->log_used) != 0)
        imc_engine_fail(engine, IMAPCONNECT_E_CANCELLED);
    engine->log_used = 0;
}

/* What is not printable becomes \xNN: a log is read in a terminal, and the server must not steer that. */
static void imc_log_byte(imapconnect_engine *engine, unsigned char c)
{
    int plain = c >= 0x20 && c < 0x7f;
    char *out;
    if (engine->log_used + (plain ? 1u : 4u) > sizeof engine->log)
        imc_log_flush(engine, 1);
    out = engine->log + engine->log_used;
    if (plain) {
        out[0] = (char)c;
        engine->log_used++;
    } else {
        out[0] = '\\';
        out[1] = 'x';
        out[2] = imc_bytes_hex(c >> 4u);
        out[3] = imc_bytes_hex(c);
        engine->log_used = (uint8_t)(engine->log_used + 4);
    }
}

/* The log takes lines; whoever writes in the other direction ends the line that is open. */
static void imc_log_put(imapconnect_engine *engine, int direction, const char *bytes, size_t count)
{
    size_t i;
    if (engine->on_log == 0)
        return;
    if (engine->log_used != 0 && engine->log_direction != direction)
        imc_log_flush(engine, 0);
    engine->log_direction = (uint8_t)direction;
    for (i = 0; i < count; i++)
        imc_log_byte(engine, (unsigned char)bytes[i]);
}

static void imc_log_end(imapconnect_engine *engine)
{
    if (engine->on_log != 0 && engine->log_used != 0)
        imc_log_flush(engine, 0);
}

/* A remark of our own, in ASCII. */
static void imc_log_note(imapconnect_engine *engine, const char *text)
{
    imc_log_put(engine, IMAPCONNECT_LOG_NOTE, text, imc_bytes_length(text, 200));
    imc_log_end(engine);
}

/* -- the list -- */

static void imc_list_clear(imapconnect_list *list)
{
    list->used = list->count = 0;
    list->truncated = list->cut = list->unfinished = 0;
}

/* Appends to the entry that is open, or opens one. Where it does not fit it is cut, and nothing is stored behind it:
   a list with holes would lie about the order. */
static void imc_list_put(imapconnect_list *list, const char *bytes, size_t count)
{
    size_t fits;
    if (list->truncated || count == 0)
        return;
    if (!list->unfinished) {
        if (list->size - list->used < 2) { /* not even a byte and its NUL */
            list->truncated = 1;
            return;
        }
        list->unfinished = 1;
        list->count++;
        list->used++;
    }
    fits = imc_bytes_least(count, list->size - list->used);
    memcpy(list->text + list->used - 1, bytes, fits);
    list->used += fits;
    list->text[list->used - 1] = '\0';
    if (fits < count)
        list->truncated = list->cut = 1;
}

IMAPCONNECT_API void imapconnect_list_init(imapconnect_list *list, char *text, size_t size)
{
    list->text = text;
    list->size = text == 0 ? 0 : size;
    imc_list_clear(list);
}

IMAPCONNECT_API const char *imapconnect_list_next(const imapconnect_list *list, const char *entry)
{
    size_t at = entry == 0 ? 0 : (size_t)(entry - list->text) + strlen(entry) + 1;
    return at < list->used ? list->text + at : 0;
}

/* -- the stream: each byte once, in order -- */

static void imc_stream(imapconnect_engine *engine, int event, const char *bytes, size_t count)
{
    const imapconnect_config *config = engine->config;
    if (config->on_response != 0 && config->on_response(config->user, event, bytes, count) != 0)
        imc_engine_fail(engine, IMAPCONNECT_E_CANCELLED);
}

/* Bytes of a line; the CR and LF that end it are not among them. */
static void imc_stream_line(imapconnect_engine *engine, const char *from, const char *to)
{
    while (to > from && (to[-1] == '\n' || to[-1] == '\r'))
        to--;
    if (to == from)
        return;
    if (engine->list != 0 && (engine->encrypted || engine->secure != IMAPCONNECT_STARTTLS))
        imc_list_put(engine->list, from, (size_t)(to - from)); /* what came before TLS is not in it */
    imc_log_put(engine, IMAPCONNECT_LOG_RECEIVED, from, (size_t)(to - from));
    imc_stream(engine, IMAPCONNECT_LINE, from, (size_t)(to - from));
}

/* The response is whole. */
static void imc_stream_line_end(imapconnect_engine *engine)
{
    if (engine->list != 0)
        engine->list->unfinished = 0;
    imc_log_end(engine);
    imc_stream(engine, IMAPCONNECT_LINE_END, "\r\n", 2);
}

/* In the log a literal ends the line; what follows it is a line of its own. In the list the entry goes on. */
static void imc_stream_literal_begin(imapconnect_engine *engine)
{
    imc_log_end(engine);
    imc_stream(engine, IMAPCONNECT_LITERAL_BEGIN, "\r\n", engine->reader.lexer.number);
}

/* Bytes of a literal extend the time limit, since a long message may take as long as it takes. */
static void imc_stream_literal(imapconnect_engine *engine, const imc_slice *piece)
{
    engine->progress = 1;
    imc_stream(engine, IMAPCONNECT_LITERAL, (const char *)piece->bytes, piece->count);
}

/* >>rows --------------------------------------------------------------------------------------------- *
 * The values of a response that a command of ours asked for, one by one as they arrive, in the transmit
 * buffer, which is free once the command has left. Invariant: a value that does not fit is known to be cut.
 * What a value means is known to the rooms of the commands, from >>mailboxes on. */

/* What a command of the time after the login hears of. */
enum imc_take {
    IMC_TAKE_VALUE, /* a value is whole: imc_rows_text() */
    IMC_TAKE_BYTES, /* some bytes of a string that streams */
    IMC_TAKE_ROW,   /* the response is whole */
    IMC_TAKE_CODE,  /* a response code came: reader.code */
    IMC_TAKE_NEWS   /* EXISTS, EXPUNGE, RECENT, or flags: reader.saw */
};

#define IMC_ASKS     1  /* the capabilities must be known before */
#define IMC_ENDS     2  /* LOGOUT */
#define IMC_SELECTS  4  /* no mailbox is open until it has succeeded */
#define IMC_EXAMINES 8  /* the mailbox is read-only, whatever the server says */
#define IMC_CHOOSES  16 /* `next` says what is sent; the format only says which arguments there are */
#define IMC_FILLS    32 /* the first argument is where the outputs go */
#define IMC_TAKES    64 /* the first two are the caller's function for what comes, and its parameter; 0 is none */
#define IMC_LISTS    (128 | IMC_TAKES)
#define IMC_STREAMS  (256 | IMC_TAKES)
#define IMC_PAIRS    512  /* what it reads is a list of words, each with its value */
#define IMC_PREFIXES 1024 /* lists of lists, each of which begins with two strings */

/* A command of the time after the login. */
struct imc_command {
    const char *format; /* what is sent, and so the arguments of the call: see >>commands */
    const char *reads;  /* the response whose values it takes, or 0 */
    void (*take)(imapconnect_engine *engine, int what, const imc_slice *piece);
    void (*next)(imapconnect_engine *engine); /* what comes behind the tagged OK, or a wait; 0: the end of the call */
    int16_t refused; /* the code for a tagged NO or BAD; IMAPCONNECT_E_NO for both of those */
    uint16_t traits; /* IMC_ASKS, ... */
};

#ifndef IMAPCONNECT_NO_COMMANDS

/* The system flags, in the order of imapconnect_flags. RFC 3501 section 2.3.2. */
#define IMC_FLAG_NAMES "\\Answered\0\\Deleted\0\\Draft\0\\Flagged\0\\Recent\0\\Seen\0\\*\0"

/* The bit of a flag; 0 for a keyword, of which there may be any number. */
static unsigned imc_rows_flag(const char *text, size_t count)
{
    return 1u << imc_bytes_word(text, count, IMC_FLAG_NAMES) >> 1;
}

/* Bits into flags, of which each is one byte. */
static void imc_rows_set_flags(imapconnect_flags *flags, unsigned bits)
{
    uint8_t *flag = (uint8_t *)flags;
    size_t i;
    for (i = 0; i < sizeof *flags; i++)
        flag[i] = bits >> i & 1;
}

/* 1 when the last answer had this response code. */
static int imc_rows_said(const imapconnect_engine *engine, const char *code)
{
    return imc_bytes_same(engine->reader.code, engine->reader.code_length, code);
}

/* The text of the present value, of row->length bytes. */
static char *imc_rows_text(imapconnect_engine *engine)
{
    return engine->writer.out.in.text + engine->writer.out.in.row.base;
}

/* 1 when the present value is this word. */
static int imc_rows_is(imapconnect_engine *engine, const char *word)
{
    return imc_bytes_same(imc_rows_text(engine), engine->writer.out.in.row.length, word);
}

#if !defined(IMAPCONNECT_NO_MAILBOXES) || !defined(IMAPCONNECT_NO_MESSAGES)

/* Which of these words the present value is, from 1; 0 for none of them. */
static uint8_t imc_rows_word(imapconnect_engine *engine, const char *words)
{
    return (uint8_t)imc_bytes_word(imc_rows_text(engine), engine->writer.out.in.row.length, words);
}

#endif

/* The reply is not IMAP. */
static void imc_rows_malformed(imapconnect_engine *engine)
{
    imc_engine_fail(engine, IMAPCONNECT_E_RESPONSE);
}

#if !defined(IMAPCONNECT_NO_MAILBOXES) || !defined(IMAPCONNECT_NO_MESSAGES) || !defined(IMAPCONNECT_NO_SEARCH)

/* A row has been given to the caller, who may have had enough. */
static void imc_rows_given(imapconnect_engine *engine, int stop)
{
    engine->progress = 1;
    if (stop != 0)
        imc_engine_fail(engine, IMAPCONNECT_E_CANCELLED);
}

/* The present value as a number; where it is none, the reply is not IMAP. */
static uint32_t imc_rows_number(imapconnect_engine *engine)
{
    const imapconnect_row *row = &engine->writer.out.in.row;
    uint32_t number = 0;
    if (row->string || !imc_bytes_number(imc_rows_text(engine), row->length, &number))
        imc_rows_malformed(engine);
    return number;
}
#endif

#if !defined(IMAPCONNECT_NO_MESSAGES) || !defined(IMAPCONNECT_NO_SEARCH)

/* The same as a UID, which is never 0: section 9, uniqueid. */
static uint32_t imc_rows_uid(imapconnect_engine *engine)
{
    uint32_t uid = imc_rows_number(engine);
    if (uid == 0)
        imc_rows_malformed(engine);
    return uid;
}

#endif
#ifndef IMAPCONNECT_NO_MESSAGES

/* A row of FETCH is one list of pairs, and nothing behind it: what stands there was part of a literal that is longer
   than its number. Returns 0 when it is not so. */
static int imc_rows_are_pairs(const imapconnect_engine *engine)
{
    const imapconnect_row *row = &engine->writer.out.in.row;
    return row->field[0] == 1 && row->field[1] % 2 == 0;
}

#endif

/* Does the command want this response's values? The line must have begun after the command had left: only then is the
   buffer the reply's. */
static int imc_rows_begin(imapconnect_engine *engine)
{
    const imapconnect_lexer *lexer = &engine->reader.lexer;
    const struct imc_command *command = engine->command;
    if (!engine->writer.borrowed || command == 0 || command->reads == 0 ||
        !imc_bytes_same(lexer->word, lexer->length, command->reads))
        return 0;
    engine->reader.collects = 1;
    return 1;
}

/* How many values there are so far where we are now. The number stays even or odd when there are too many. */
static void imc_rows_count(imapconnect_row *row)
{
    if (row->depth < sizeof row->field && ++row->field[row->depth] == 0)
        row->field[row->depth] = 254;
}

static void imc_rows_open(imapconnect_row *row, int string)
{
    row->open = 1;
    row->string = (uint8_t)string;
    row->cut = 0;
    row->length = 0;
}

/* Bytes of a value: to the caller, or to the text as far as they fit. */
static void imc_rows_bytes(imapconnect_engine *engine, const imc_slice *piece)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    size_t count = imc_bytes_least(piece->count, sizeof engine->writer.out.in.text - row->base - row->length);
    if (row->streams && row->string) {
        engine->command->take(engine, IMC_TAKE_BYTES, piece);
        return;
    }
    if (engine->reader.number != 0 && row->depth == 1 && row->field[1] % 2 == 0 && !row->string &&
        piece->bytes[piece->count - 1] == '[')
        engine->reader.lexer.quoted = IMC_IN_SECTION; /* BODY[, of which what follows is a part: section 7.4.2 */
    row->cut |= count < piece->count;
    memcpy(imc_rows_text(engine) + row->length, piece->bytes, count);
    row->length = (uint16_t)(row->length + count);
}

/* The value that was open is whole. */
static void imc_rows_close(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    if (!row->open)
        return;
    row->open = 0;
    engine->command->take(engine, IMC_TAKE_VALUE, 0);
    imc_rows_count(row);
}

/* A parenthesis. Returns 0 when none is open that could be closed, too many are, or no list may stand here: neither a body
   nor a word is one, nor a prefix and its separator. */
static int imc_rows_nest(imapconnect_row *row, int token, unsigned traits)
{
    if (token == IMC_OPEN) {
        if (row->depth == 255 || row->streams ||
            ((traits & IMC_PAIRS) != 0 && row->depth == 1 && row->field[1] % 2 == 0) ||
            ((traits & IMC_PREFIXES) != 0 && row->depth == 2 && row->field[2] < 2))
            return 0;
        if (++row->depth < sizeof row->field)
            row->field[row->depth] = 0;
        return 1;
    }
    if (row->depth == 0)
        return 0;
    row->depth--;
    imc_rows_count(row);
    return 1;
}

/* The response is whole. Returns 0 when a parenthesis is still open. */
static int imc_rows_end(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    if (row->depth != 0)
        return 0;
    if (engine->error == 0)
        engine->command->take(engine, IMC_TAKE_ROW, 0);
    /* From `has` up to `count`: nothing of one row is left for the next. */
    memset((char *)row + offsetof(imapconnect_row, has), 0,
           offsetof(imapconnect_row, count) - offsetof(imapconnect_row, has));
    return 1;
}

/* A token of a line whose values are read. Returns 0 when it must not stand there. */
static IMC_APART int imc_rows_token(imapconnect_engine *engine, int token, const imc_slice *piece)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    int good = 1;
    if (!engine->reader.collects || engine->error != 0)
        return 1;
    switch (token) {
    case IMC_PIECE:
    case IMC_LITERAL_PIECE:
        if (!row->open)
            imc_rows_open(row, 0);
        imc_rows_bytes(engine, piece);
        break;
    case IMC_STRING:
    case IMC_LITERAL_BEGIN:
        imc_rows_open(row, token);
        break;
    case IMC_LITERAL_END:
        break;
    case IMC_LINE_END:
        imc_rows_close(engine);
        good = imc_rows_end(engine);
        break;
    default:
        imc_rows_close(engine);
        good = token == IMC_SPACE || imc_rows_nest(row, token, engine->command->traits);
    }
    return good;
}

#endif

/* >>responses ---------------------------------------------------------------------------------------- *
 * Tokens into events, one for each line. Invariant: what is kept of a line has a fixed size, and what does
 * not fit is never taken for something that does. What an event means is decided in >>engine. */

enum imc_event {
    IMC_SAW_NOTHING,
    IMC_SAW_OK, /* untagged status responses, RFC 3501 section 7.1 */
    IMC_SAW_NO,
    IMC_SAW_BAD,
    IMC_SAW_BYE,
    IMC_SAW_PREAUTH,
    IMC_SAW_CAPABILITY,
    IMC_SAW_DATA,   /* any other untagged response */
    IMC_SAW_EXISTS, /* those with a number in front, RFC 3501 sections 7.3 and 7.4; the order is that of news */
    IMC_SAW_EXPUNGE,
    IMC_SAW_RECENT,
    IMC_SAW_FETCH,
    IMC_SAW_CONTINUATION, /* "+" */
    IMC_SAW_TAGGED_OK,
    IMC_SAW_TAGGED_NO,
    IMC_SAW_TAGGED_BAD,
    IMC_SAW_FOREIGN, /* another tag than ours */
    IMC_SAW_GARBAGE  /* against the grammar */
};

/* Status words behind an empty one, in the order of the events; a tag is followed by the first three alone. */
static const char imc_responses_status[] = "\0OK\0NO\0BAD\0BYE\0PREAUTH\0";
#define IMC_TAGGED_WORDS 3

/* Names behind a number that say something of the mailbox, in the order of the events. */
#define IMC_NUMBERED_WORDS "EXISTS\0EXPUNGE\0RECENT\0FETCH\0"

/* Capabilities that change what the client does. They match as whole atoms. */
#define IMC_CAN_IMAP4REV1     1u
#define IMC_CAN_STARTTLS      2u
#define IMC_CAN_NOT_LOGIN     4u
#define IMC_CAN_AUTH_CRAM_MD5 8u
#define IMC_CAN_IDLE          16u  /* RFC 2177 */
#define IMC_CAN_MOVE          32u  /* RFC 6851 */
#define IMC_CAN_UIDPLUS       64u  /* RFC 4315 */
#define IMC_CAN_LITERAL_PLUS  128u /* RFC 7888 */
#define IMC_CAN_LITERAL_MINUS 256u
#define IMC_CAN_LISTED        0x8000u /* at least one atom was there */
#ifndef IMAPCONNECT_NO_SASL
#define IMC_CAN_SASL_IR             0x10000u /* RFC 4959 */
#define IMC_CAN_AUTH_PLAIN          0x20000u
#define IMC_CAN_AUTH_XOAUTH2        0x40000u
#define IMC_CAN_AUTH_OAUTHBEARER    0x80000u
#define IMC_CAN_AUTH_EXTERNAL       0x100000u
#define IMC_CAN_AUTH_SCRAM_1        0x200000u
#define IMC_CAN_AUTH_SCRAM_256      0x400000u
#define IMC_CAN_AUTH_SCRAM_256_PLUS 0x800000u
#endif

static const struct {
    const char *atom;
    uint16_t length;
    imapconnect_capabilities bit;
} imc_responses_capabilities[] = {
#ifndef IMAPCONNECT_NO_SASL
    {"SASL-IR", 7, IMC_CAN_SASL_IR},
    {"AUTH=PLAIN", 10, IMC_CAN_AUTH_PLAIN},
    {"AUTH=XOAUTH2", 12, IMC_CAN_AUTH_XOAUTH2},
    {"AUTH=EXTERNAL", 13, IMC_CAN_AUTH_EXTERNAL},
    {"AUTH=OAUTHBEARER", 16, IMC_CAN_AUTH_OAUTHBEARER},
    {"AUTH=SCRAM-SHA-1", 16, IMC_CAN_AUTH_SCRAM_1},
    {"AUTH=SCRAM-SHA-256", 18, IMC_CAN_AUTH_SCRAM_256},
    {"AUTH=SCRAM-SHA-256-PLUS", 23, IMC_CAN_AUTH_SCRAM_256_PLUS},
#endif
    {"IDLE", 4, IMC_CAN_IDLE},
    {"MOVE", 4, IMC_CAN_MOVE},
    {"UIDPLUS", 7, IMC_CAN_UIDPLUS},
    {"STARTTLS", 8, IMC_CAN_STARTTLS},
    {"LITERAL+", 8, IMC_CAN_LITERAL_PLUS},
    {"LITERAL-", 8, IMC_CAN_LITERAL_MINUS},
    {"IMAP4rev1", 9, IMC_CAN_IMAP4REV1},
    {"LOGINDISABLED", 13, IMC_CAN_NOT_LOGIN},
    {"AUTH=CRAM-MD5", 13, IMC_CAN_AUTH_CRAM_MD5}};
#define IMC_CAPABILITIES (sizeof imc_responses_capabilities / sizeof imc_responses_capabilities[0])
/* The lengths of the atoms above. */
#ifndef IMAPCONNECT_NO_SASL
#define IMC_CAN_LENGTHS \
    (1u << 4 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 10 | 1u << 12 | 1u << 13 | 1u << 16 | 1u << 18 | 1u << 23)
#else
#define IMC_CAN_LENGTHS (1u << 4 | 1u << 7 | 1u << 8 | 1u << 9 | 1u << 13)
#endif

enum imc_position {
    IMC_AT_FIRST,
    IMC_AT_FIRST_SPACE,
    IMC_AT_SECOND,
    IMC_AT_SECOND_SPACE, /* behind a number */
    IMC_AT_THIRD,
    IMC_AT_ATOMS,
    IMC_AT_REST
};

enum imc_text_position {
    IMC_TEXT_SPACE, /* the space before it */
    IMC_TEXT_START,
    IMC_TEXT_CODE_WORD, /* the first word in the brackets */
    IMC_TEXT_CODE,
    IMC_TEXT_CODE_FLAGS,      /* the brackets hold permanent flags */
    IMC_TEXT_CODE_CAPABILITY, /* the brackets hold capabilities */
    IMC_TEXT_CODE_END,        /* the space behind the brackets */
    IMC_TEXT_FREE,
    IMC_TEXT_BASE64_SPACE, /* the space before a challenge */
    IMC_TEXT_BASE64,
    IMC_TEXT_IGNORED
};

enum imc_base64 { IMC_BASE64_GOOD, IMC_BASE64_TOO_LONG, IMC_BASE64_BAD };

/* -- base64 of a challenge -- */

/* The last group of four is complete: its bits into bytes. Those that padding leaves over must be zero. */
static void imc_base64_group(imapconnect_reader *reader, char *out)
{
    uint32_t bits = reader->number;
    unsigned bytes = 3u - reader->base64_padding, i;
    if (bits & ((1u << (8 * reader->base64_padding)) - 1u))
        reader->base64_bad = IMC_BASE64_BAD;
    for (i = 0; i < bytes && reader->base64_bad == IMC_BASE64_GOOD; i++) {
        if (reader->challenge == IMAPCONNECT_WRITE_SIZE)
            reader->base64_bad = IMC_BASE64_TOO_LONG;
        else
            out[reader->challenge++] = (char)(bits >> (16 - 8 * i));
    }
    reader->number = 0;
    reader->base64_count = 0;
}

/* Strict base64, RFC 4648 section 3: the exact alphabet, whole groups, padding at the end alone. */
static void imc_base64_take(imapconnect_reader *reader, const char *bytes, size_t count, char *out)
{
    for (; count > 0; count--, bytes++) {
        int value = imc_sasl_base64_value(*bytes);
        int ended = reader->base64_padding != 0;
        if (*bytes == '=' && reader->base64_count >= 2) {
            reader->base64_padding++;
            value = 0;
        } else if (value < 0 || ended) {
            reader->base64_bad = IMC_BASE64_BAD;
            return;
        }
        reader->number = reader->number << 6 | (uint32_t)value;
        if (++reader->base64_count == 4)
            imc_base64_group(reader, out);
    }
}

/* -- the text of a status response -- */

/* Keeps as much of a text as fits, NUL-terminated. */
static void imc_responses_keep(char *kept, uint8_t *length, size_t size, const char *bytes, size_t count)
{
    count = imc_bytes_least(count, size - 1 - *length);
    memcpy(kept + *length, bytes, count);
    *length = (uint8_t)(*length + count);
    kept[*length] = '\0';
}

/* The same of the text for people. The reason why a token was refused says more than the NO behind it, and stays. */
static void imc_responses_keep_text(imapconnect_reader *reader, const char *bytes, size_t count)
{
    if (!reader->explained)
        imc_responses_keep(reader->text, &reader->text_length, sizeof reader->text, bytes, count);
}

/* An atom of a capability list. Most of them mean nothing here, and are told apart by their lengths. */
static void imc_responses_atom(imapconnect_reader *reader, const char *word, size_t length)
{
    size_t i;
    reader->found |= IMC_CAN_LISTED;
    if (length > 31 || (IMC_CAN_LENGTHS >> length & 1) == 0)
        return;
    for (i = 0; i < IMC_CAPABILITIES; i++)
        if (length == imc_responses_capabilities[i].length &&
            imc_bytes_same(word, length, imc_responses_capabilities[i].atom))
            reader->found |= imc_responses_capabilities[i].bit;
}

/* The first word of a response code says what the others are. */
static void imc_responses_code_name(imapconnect_reader *reader, const char *word, size_t length)
{
    reader->text_position = IMC_TEXT_CODE;
    if (imc_bytes_same(word, length, "CAPABILITY"))
        reader->text_position = IMC_TEXT_CODE_CAPABILITY;
#ifndef IMAPCONNECT_NO_COMMANDS
    if (imc_bytes_same(word, length, "PERMANENTFLAGS"))
        reader->text_position = IMC_TEXT_CODE_FLAGS;
#endif
}

/* A word of the response code is complete. Flags stand in parentheses. */
static void imc_responses_code_word(imapconnect_reader *reader, const char *word, size_t length)
{
    if (reader->text_position == IMC_TEXT_CODE_WORD)
        imc_responses_code_name(reader, word, length);
    else if (reader->text_position == IMC_TEXT_CODE_CAPABILITY && length != 0)
        imc_responses_atom(reader, word, length);
#ifndef IMAPCONNECT_NO_COMMANDS
    else if (reader->text_position == IMC_TEXT_CODE_FLAGS && length != 0) {
        size_t skip = word[0] == '(', end = word[length - 1] == ')';
        reader->found = (uint16_t)(reader->found | imc_rows_flag(word + skip, length - skip - end));
    }
#endif
}

/* A word of the response code, or the end of one that began in an earlier piece. */
static void imc_responses_code_piece(imapconnect_reader *reader, const char *word, size_t length)
{
    imapconnect_lexer *lexer = &reader->lexer;
    if (lexer->length == 0) {
        imc_responses_code_word(reader, word, length);
        return;
    }
    imc_lexer_keep(lexer, word, length);
    imc_responses_code_word(reader, lexer->word, lexer->length);
    lexer->length = 0;
}

/* Between "[" and "]", word by word. A list of capabilities counts once its bracket is closed. */
static size_t imc_responses_code(imapconnect_reader *reader, const char *bytes, size_t count)
{
    const char *bracket = (const char *)memchr(bytes, ']', count);
    const char *end = bracket != 0 ? bracket : bytes + count;
    const char *word = bytes, *space;
    while ((space = (const char *)memchr(word, ' ', (size_t)(end - word))) != 0) {
        imc_responses_code_piece(reader, word, (size_t)(space - word));
        word = space + 1;
    }
    imc_responses_keep(reader->code, &reader->code_length, sizeof reader->code, bytes, (size_t)(end - bytes));
    if (bracket == 0) {
        imc_lexer_keep(&reader->lexer, word, (size_t)(end - word));
        return count;
    }
    imc_responses_code_piece(reader, word, (size_t)(end - word));
    if (reader->text_position == IMC_TEXT_CODE_CAPABILITY)
        reader->listed = reader->found;
    reader->text_position = IMC_TEXT_CODE_END;
    return (size_t)(bracket - bytes) + 1;
}

/* Takes one step in a text and returns how many bytes that were. */
static size_t imc_responses_text_step(imapconnect_reader *reader, const char *bytes, size_t count, char *out)
{
    switch (reader->text_position) {
    case IMC_TEXT_SPACE:
        reader->text_position = IMC_TEXT_START;
        return 1;
    case IMC_TEXT_BASE64_SPACE:
        reader->text_position = IMC_TEXT_BASE64;
        return 1;
    case IMC_TEXT_START:
        reader->lexer.length = 0;
        reader->text_position = *bytes == '[' ? IMC_TEXT_CODE_WORD : IMC_TEXT_FREE;
        return *bytes == '[';
    case IMC_TEXT_CODE_END:
        reader->text_position = IMC_TEXT_FREE;
        return *bytes == ' ';
    case IMC_TEXT_FREE:
        imc_responses_keep_text(reader, bytes, count);
        return count;
    case IMC_TEXT_BASE64:
        imc_base64_take(reader, bytes, count, out);
        return count;
    case IMC_TEXT_IGNORED:
        return count;
    default:
        return imc_responses_code(reader, bytes, count);
    }
}

/* Steps through a piece of text; every chunking takes the same steps. */
static void imc_responses_text(imapconnect_reader *reader, const imc_slice *piece, char *out)
{
    const char *bytes = (const char *)piece->bytes;
    size_t at = 0;
    while (at < piece->count)
        at += imc_responses_text_step(reader, bytes + at, piece->count - at, out);
}

/* -- the words of a line -- */

/* 1 when the next byte is the first of a line. */
static int imc_responses_is_new_line(const imapconnect_reader *reader)
{
    return reader->position == IMC_AT_FIRST && reader->lexer.length == 0;
}

/* Until its words say otherwise a line is garbage. */
static void imc_responses_begin_line(imapconnect_reader *reader)
{
    reader->saw = IMC_SAW_GARBAGE;
    reader->tagged = reader->collects = 0;
    reader->found = reader->listed = 0;
}

/* A status word came; its text begins, and with it what is kept of the last answer. */
static void imc_responses_begin_text(imapconnect_reader *reader)
{
    reader->lexer.mode = IMC_TEXT;
    reader->text_position = IMC_TEXT_SPACE;
    reader->code_length = 0;
    reader->code[0] = '\0';
    if (reader->explained)
        return;
    reader->text_length = 0;
    reader->text[0] = '\0';
}

/* The first word: "*", "+" or a tag. */
static int imc_responses_first(imapconnect_reader *reader)
{
    const imapconnect_lexer *lexer = &reader->lexer;
    reader->position = IMC_AT_FIRST_SPACE;
    if (imc_bytes_same(lexer->word, lexer->length, "*"))
        return IMC_SAW_NOTHING;
    if (imc_bytes_same(lexer->word, lexer->length, "+")) {
        reader->saw = IMC_SAW_CONTINUATION;
        reader->position = IMC_AT_REST;
        reader->lexer.mode = IMC_TEXT;
        reader->text_position = reader->wants_base64 ? IMC_TEXT_BASE64_SPACE : IMC_TEXT_IGNORED;
        reader->challenge = 0;
        reader->number = 0;
        reader->base64_count = reader->base64_padding = reader->base64_bad = 0;
        return IMC_SAW_NOTHING;
    }
    /* Tags match exactly, letter case and all. */
    if (reader->tag[0] == '\0' || lexer->length != strlen(reader->tag) ||
        memcmp(lexer->word, reader->tag, lexer->length) != 0)
        return IMC_SAW_FOREIGN;
    reader->tagged = 1;
    return IMC_SAW_NOTHING;
}

/* The name of a response has come, and its data follow. With a number in front only FETCH has any that are read. */
static int imc_responses_data(imapconnect_engine *engine, int saw)
{
    imapconnect_reader *reader = &engine->reader;
    int numbered = reader->position == IMC_AT_THIRD;
    reader->saw = (uint8_t)saw;
    reader->position = IMC_AT_REST;
    if (saw != IMC_SAW_DATA && saw != IMC_SAW_FETCH)
        return IMC_SAW_NOTHING; /* nothing stands behind EXISTS, EXPUNGE, RECENT */
    reader->lexer.mode = IMC_DATA;
#ifndef IMAPCONNECT_NO_COMMANDS
    if (numbered == (saw == IMC_SAW_FETCH) && imc_rows_begin(engine))
        reader->lexer.mode = IMC_VALUES;
#else
    (void)numbered;
#endif
    return IMC_SAW_NOTHING;
}

/* A status word has come, untagged or tagged, and its text follows. */
static int imc_responses_status_word(imapconnect_reader *reader, unsigned which)
{
    reader->saw = (uint8_t)((reader->tagged ? IMC_SAW_TAGGED_OK : IMC_SAW_OK) + which - 1);
    reader->position = IMC_AT_REST;
    reader->answer = (uint8_t)which;
    imc_responses_begin_text(reader);
    return reader->tagged && which > IMC_TAGGED_WORDS ? IMC_SAW_GARBAGE : IMC_SAW_NOTHING;
}

/* The second word: a status, a capability list, or the number or the name of another response. A tag is followed by
   OK, NO or BAD, and nothing else: RFC 3501 section 7.1. */
static int imc_responses_second(imapconnect_engine *engine)
{
    imapconnect_reader *reader = &engine->reader;
    imapconnect_lexer *lexer = &reader->lexer;
    unsigned which = imc_bytes_word(lexer->word, lexer->length, imc_responses_status + 1);
    if (which != 0)
        return imc_responses_status_word(reader, which);
    if (reader->tagged)
        return IMC_SAW_GARBAGE;
    if (imc_bytes_same(lexer->word, lexer->length, "CAPABILITY")) {
        reader->saw = IMC_SAW_CAPABILITY;
        reader->position = IMC_AT_ATOMS;
        return IMC_SAW_NOTHING;
    }
    reader->number = 0;
    if (!imc_bytes_is_digit(lexer->word[0]))
        return imc_responses_data(engine, IMC_SAW_DATA);
    reader->position = IMC_AT_SECOND_SPACE;
    return imc_bytes_number(lexer->word, lexer->length, &reader->number) ? IMC_SAW_NOTHING : IMC_SAW_GARBAGE;
}

/* The name behind a number. */
static int imc_responses_third(imapconnect_engine *engine)
{
    const imapconnect_lexer *lexer = &engine->reader.lexer;
    unsigned which = imc_bytes_word(lexer->word, lexer->length, IMC_NUMBERED_WORDS);
    return imc_responses_data(engine, (int)(IMC_SAW_DATA + which)); /* DATA stands before them */
}

static int imc_responses_word(imapconnect_engine *engine)
{
    imapconnect_reader *reader = &engine->reader;
    switch (reader->position) {
    case IMC_AT_FIRST:
        return imc_responses_first(reader);
    case IMC_AT_SECOND:
        return imc_responses_second(engine);
    case IMC_AT_THIRD:
        return imc_responses_third(engine);
    case IMC_AT_ATOMS:
        imc_responses_atom(reader, reader->lexer.word, reader->lexer.length);
        return IMC_SAW_NOTHING;
    default:
        return IMC_SAW_GARBAGE;
    }
}

/* One space stands between two words. An atom list may have more: some servers do that, and it means nothing. */
static int imc_responses_space(imapconnect_reader *reader)
{
    if (reader->position == IMC_AT_FIRST_SPACE || reader->position == IMC_AT_SECOND_SPACE) {
        reader->position++;
        return IMC_SAW_NOTHING;
    }
    return reader->position == IMC_AT_ATOMS ? IMC_SAW_NOTHING : IMC_SAW_GARBAGE;
}

/* The line ended before "]": there was no code, and what was taken for one is text. */
static void imc_responses_no_code(imapconnect_reader *reader)
{
    imc_responses_keep_text(reader, "[", 1);
    imc_responses_keep_text(reader, reader->code, reader->code_length);
    reader->code[0] = '\0';
    reader->code_length = 0;
}

/* The line is whole: what was it? */
static int imc_responses_end_line(imapconnect_reader *reader)
{
    int saw = reader->saw;
    if (saw == IMC_SAW_CAPABILITY)
        reader->listed = reader->found;
    if (saw == IMC_SAW_CONTINUATION && reader->base64_count != 0)
        reader->base64_bad = IMC_BASE64_BAD;
    if ((saw == IMC_SAW_EXPUNGE || saw == IMC_SAW_FETCH) && reader->number == 0)
        saw = IMC_SAW_GARBAGE; /* there is no message 0: section 9, nz-number */
    if (reader->text_position >= IMC_TEXT_CODE_WORD && reader->text_position <= IMC_TEXT_CODE_CAPABILITY)
        imc_responses_no_code(reader);
    reader->text_position = IMC_TEXT_IGNORED;
    reader->position = IMC_AT_FIRST;
    return saw;
}

/* What a token means to the line. Returns the line's event when that is decided before its end. */
static int imc_responses_token(imapconnect_engine *engine, int token, const imc_slice *piece)
{
    if (token == IMC_MALFORMED)
        return IMC_SAW_GARBAGE;
#ifndef IMAPCONNECT_NO_COMMANDS
    if (engine->reader.collects && token != IMC_MORE)
        return imc_rows_token(engine, token, piece) ? IMC_SAW_NOTHING : IMC_SAW_GARBAGE;
#endif
    switch (token) {
    case IMC_WORD:
        return imc_responses_word(engine);
    case IMC_SPACE:
        return imc_responses_space(&engine->reader);
    case IMC_PIECE:
        imc_responses_text(&engine->reader, piece, engine->writer.out.bytes);
        return IMC_SAW_NOTHING;
    default:
        return IMC_SAW_NOTHING;
    }
}

/* Reads on from `*at` to the end of the next line, or to `end`. Returns the line's event, IMC_SAW_NOTHING when
   there is none yet. */
static IMC_APART int imc_responses_next(imapconnect_engine *engine, const char **at, const char *end)
{
    imapconnect_reader *reader = &engine->reader;
    const char *raw = *at; /* from here on the stream has not seen it */
    for (;;) {
        imc_slice piece;
        int token = imc_lexer_next(&reader->lexer, at, end, &piece);
        int saw = imc_responses_token(engine, token, &piece);
        if (token == IMC_LITERAL_PIECE) {
            imc_stream_literal(engine, &piece);
            raw = *at;
        } else if (token == IMC_LITERAL_END) {
            imc_stream(engine, IMAPCONNECT_LITERAL_END, 0, 0);
        } else if (token == IMC_LITERAL_BEGIN) {
            imc_stream_line(engine, raw, *at);
            imc_stream_literal_begin(engine);
            raw = *at;
        } else if (token == IMC_MORE || token == IMC_LINE_END || saw != IMC_SAW_NOTHING || engine->error != 0) {
            imc_stream_line(engine, raw, *at);
        }
        if (token == IMC_LINE_END && saw == IMC_SAW_NOTHING) {
            imc_stream_line_end(engine);
            saw = imc_responses_end_line(reader);
        }
        if (token == IMC_MORE || saw != IMC_SAW_NOTHING || engine->error != 0)
            return saw;
    }
}

/* >>commands ----------------------------------------------------------------------------------------- *
 * A command into the transmit buffer, as far as it fits, and into the log with *** for what is secret.
 * Invariant: the caller's texts are read where they are, and a secret is copied nowhere but into the
 * buffer, which is wiped once sent.
 *
 * A command is a format, in which these stand for the next text or the next number of the writer's; it is that of a
 * call, too, whose arguments are checked by their letters. Texts that go as they are, nothing but printable ASCII:
 *   %R  any                     %C  a command of the caller's, which may hold any byte
 *   %B  a section of a BODY     %Q  the criteria of a SEARCH
 *   %H  its charset             %E  names of extensions
 * Strings, which go quoted, or as a literal when a byte is above 0x7f:
 *   %s  any                     %p  a secret
 *   %i  at most 1024 bytes      %d  a date and time
 *   %m  a mailbox name
 * Numbers:
 *   %n  any                     %u  a UID, which is never 0
 *   %x  the same, 0 for "*"     %f  flags, the number's bits
 *   %l  a literal of so many bytes, from the caller's source
 * What a mechanism says first, in base64 and secret:
 *   %b  alone in its line       %I  behind a space, where the server takes it at once
 * What stands between %( and %) goes only when its first argument is there, and not 0. */

/* The longest thing that is written at once: all flags. */
#define IMC_WRITE_ROOM 56
#define IMC_MAX_NUMBER 13   /* {4294967295+} */
#define IMC_MAX_ID     1024 /* bytes: RFC 2971 section 3.3 */

/* CR, LF in an argument would end the line, and begin a command of the attacker's: refused everywhere. */
static int imc_commands_is_line(const char *text, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++)
        if (text[i] == '\r' || text[i] == '\n')
            return 0;
    return 1;
}

/* A quoted string holds 7-bit bytes alone, RFC 3501 section 9: TEXT-CHAR. */
static int imc_commands_is_ascii(const char *text)
{
    for (; *text != '\0'; text++)
        if ((unsigned char)*text > 0x7f)
            return 0;
    return 1;
}

/* Bytes into the transmit buffer, which has room for them. */
static void imc_commands_put(imapconnect_writer *writer, const char *bytes, size_t count)
{
    memcpy(writer->out.bytes + writer->used, bytes, count);
    writer->used = (uint16_t)(writer->used + count);
}

/* The same, and into the log, but for a secret. */
static void imc_commands_show(imapconnect_engine *engine, const char *bytes, size_t count)
{
    imc_commands_put(&engine->writer, bytes, count);
    if (engine->writer.open == 'p')
        engine->writer.secret = 1;
    else
        imc_log_put(engine, IMAPCONNECT_LOG_SENT, bytes, count);
}

/* Three stars, however long the secret is. */
static void imc_commands_mask(imapconnect_engine *engine)
{
    imc_log_put(engine, IMAPCONNECT_LOG_SENT, "***", 3);
}

/* Every line that leaves ends here. */
static void imc_commands_line_end(imapconnect_engine *engine)
{
    imc_commands_put(&engine->writer, "\r\n", 2);
    imc_log_end(engine);
}

/* The same, in a quoted string: RFC 3501 section 9, quoted. */
static void imc_commands_quote(imapconnect_engine *engine, const char *bytes, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++) {
        if (bytes[i] == '"' || bytes[i] == '\\')
            imc_commands_show(engine, "\\", 1);
        imc_commands_show(engine, bytes + i, 1);
    }
}

/* May a literal leave without the server's "+"? A secret never does: RFC 7888. */
static int imc_commands_pushes(const imapconnect_engine *engine, size_t count)
{
    return engine->command != 0 && ((engine->capabilities & IMC_CAN_LITERAL_PLUS) != 0 ||
                                    ((engine->capabilities & IMC_CAN_LITERAL_MINUS) != 0 && count <= 4096));
}

/* Begins a literal, RFC 3501 section 4.3. How long a secret is, is secret. */
static void imc_commands_open_literal(imapconnect_engine *engine, size_t count)
{
    imapconnect_writer *writer = &engine->writer;
    char header[IMC_MAX_NUMBER];
    int pushes = imc_commands_pushes(engine, count);
    size_t used = imc_bytes_decimal(header + 1, (uint32_t)count) + 1;
    header[0] = '{';
    if (pushes)
        header[used++] = '+';
    header[used++] = '}';
    imc_commands_show(engine, header, used);
    imc_commands_line_end(engine);
    writer->literal = 1;
    writer->waiting = !pushes;
    writer->pushed |= (uint8_t)pushes; /* the one before may still be on its way */
}

/* May this text stand in a quoted string? One with bytes above 0x7f may once the server takes UTF-8, and if it is that:
   RFC 6855 section 3. */
static int imc_commands_is_quotable(const imapconnect_engine *engine, const char *text)
{
#ifndef IMAPCONNECT_NO_COMMANDS
    if (engine->utf8)
        return imc_names_is_utf8(text);
#else
    (void)engine;
#endif
    return imc_commands_is_ascii(text);
}

/* Begins a string. */
static void imc_commands_open_string(imapconnect_engine *engine)
{
    imapconnect_writer *writer = &engine->writer;
    const char *text = writer->text[writer->texts];
    if (writer->open == 'p')
        imc_commands_mask(engine);
    if (imc_commands_is_quotable(engine, text))
        imc_commands_show(engine, "\"", 1);
    else
        imc_commands_open_literal(engine, strlen(text));
}

#ifndef IMAPCONNECT_NO_COMMANDS

/* The next character of a mailbox name, or its end. */
static void imc_commands_mailbox(imapconnect_engine *engine, const char *name)
{
    imapconnect_writer *writer = &engine->writer;
    const char *next = name + writer->offset;
    char out[8];
    uint32_t c = imc_names_character(&next);
    size_t used;
    if (c == 0) {
        used = imc_names_unshift(&writer->utf7, out);
        writer->open = 'q'; /* the quote at the end */
    } else if (engine->utf8) {
        used = (size_t)(next - (name + writer->offset));
        memcpy(out, name + writer->offset, used);
    } else {
        used = imc_names_encode(&writer->utf7, c, out);
    }
    imc_commands_quote(engine, out, used);
    writer->offset = (size_t)(next - name);
}

/* A name that LIST gave as it was goes as it was. */
static void imc_commands_open_mailbox(imapconnect_engine *engine)
{
    imapconnect_writer *writer = &engine->writer;
    if (*writer->text[writer->texts] == IMC_RAW_NAME) {
        writer->text[writer->texts]++;
        writer->open = 's';
        imc_commands_open_string(engine);
    } else {
        imc_commands_show(engine, "\"", 1);
    }
}

/* The flags whose bits are set. */
static void imc_commands_flags(imapconnect_engine *engine)
{
    imapconnect_writer *writer = &engine->writer;
    uint32_t left = writer->number[writer->numbers++];
    const char *name = IMC_FLAG_NAMES, *before = "(";
    for (; left != 0; left >>= 1) {
        size_t count = strlen(name);
        if (left & 1) {
            imc_commands_show(engine, before, 1);
            imc_commands_show(engine, name, count);
            before = " ";
        }
        name += count + 1;
    }
    imc_commands_show(engine, ")", 1);
    writer->open = 0;
}

/* Bytes of a message. It is the caller who has promised how many there are. */
static void imc_commands_upload(imapconnect_engine *engine)
{
    imapconnect_writer *writer = &engine->writer;
    size_t left = writer->number[writer->numbers] - writer->offset;
    size_t room = imc_bytes_least(left, sizeof writer->out.bytes - writer->used);
    int got;
    if (left == 0) {
        writer->open = 0;
        writer->numbers++;
        return;
    }
    got = engine->taker.source(engine->user, writer->out.bytes + writer->used, room);
    if (got <= 0 || (size_t)got > room) {
        imc_engine_fail(engine, IMAPCONNECT_E_CANCELLED);
        return;
    }
    writer->used = (uint16_t)(writer->used + (size_t)got);
    writer->offset += (size_t)got;
    engine->progress = 1;
}

/* A number of the format: "*" for the last one there is. */
static void imc_commands_number(imapconnect_engine *engine)
{
    imapconnect_writer *writer = &engine->writer;
    uint32_t number = writer->number[writer->numbers++];
    char digits[10];
    if (number == 0 && writer->open == 'x')
        imc_commands_show(engine, "*", 1);
    else
        imc_commands_show(engine, digits, imc_bytes_decimal(digits, number));
    writer->open = 0;
}

/* Goes on behind "%)" when the first argument in there is not. */
static void imc_commands_skip(imapconnect_writer *writer)
{
    const char *next = writer->format;
    writer->open = 0;
    while (*next != '%')
        next++;
    if (next[1] == 'f' ? writer->number[writer->numbers] != 0 : writer->text[writer->texts] != 0)
        return;
    writer->numbers = (uint8_t)(writer->numbers + (next[1] == 'f'));
    writer->texts = (uint8_t)(writer->texts + (next[1] != 'f'));
    while (next[0] != '%' || next[1] != ')')
        next++;
    writer->format = next;
}

#endif

#ifndef IMAPCONNECT_NO_SASL

/* The next three bytes of what a mechanism says first, or its end. */
static void imc_commands_payload(imapconnect_engine *engine)
{
    imapconnect_writer *writer = &engine->writer;
    unsigned char bytes[3] = {0, 0, 0};
    size_t count = 0;
    int c;
    while (count < sizeof bytes && (c = imc_payload_next(&writer->payload, writer->text)) >= 0)
        bytes[count++] = (unsigned char)c;
    writer->used = (uint16_t)(writer->used + imc_sasl_base64_encode(writer->out.bytes + writer->used, bytes, count));
    IMAPCONNECT_WIPE(bytes, sizeof bytes);
    writer->secret = 1;
    if (count < sizeof bytes)
        writer->open = 0;
}

/* SASL-IR, RFC 4959 section 3: it goes with the command, and one of no bytes is "=". */
static void imc_commands_initial(imapconnect_engine *engine)
{
    imapconnect_writer *writer = &engine->writer;
    imapconnect_payload peek = writer->payload;
    writer->open = 0;
    if ((engine->capabilities & IMC_CAN_SASL_IR) == 0)
        return;
    imc_commands_show(engine, " ", 1);
    if (imc_payload_next(&peek, writer->text) < 0) {
        imc_commands_show(engine, "=", 1);
        return;
    }
    imc_commands_mask(engine);
    writer->open = 'b';
}

#endif

/* Begins the argument that the format names. */
static void imc_commands_open(imapconnect_engine *engine)
{
    imapconnect_writer *writer = &engine->writer;
    writer->open = (uint8_t)writer->format[1];
    writer->format += 2;
    writer->offset = 0;
    writer->literal = 0;
    switch (writer->open) {
    case 's':
    case 'p':
    case 'i':
    case 'd':
        imc_commands_open_string(engine);
        break;
#ifndef IMAPCONNECT_NO_SASL
    case 'b':
        imc_commands_mask(engine);
        break;
    case 'I':
        imc_commands_initial(engine);
        break;
#endif
#ifndef IMAPCONNECT_NO_COMMANDS
    case 'm':
        imc_commands_open_mailbox(engine);
        break;
    case 'n':
    case 'u':
    case 'x':
        imc_commands_number(engine);
        break;
    case 'f':
        imc_commands_flags(engine);
        break;
    case 'l':
        imc_commands_open_literal(engine, writer->number[writer->numbers]);
        break;
    case '(':
        imc_commands_skip(writer);
        break;
    case ')':
        writer->open = 0;
        break;
#endif
    default:
        break;
    }
}

/* More of a text, or its end. A secret that is a literal stands in a line of its own, in the log, too. */
static void imc_commands_text(imapconnect_engine *engine)
{
    imapconnect_writer *writer = &engine->writer;
    const char *next = writer->text[writer->texts] + writer->offset;
    int quoted = writer->open >= 'a' && !writer->literal;
    size_t count = imc_bytes_length(next, quoted ? 1 : sizeof writer->out.bytes - writer->used);
    if (writer->offset == 0 && writer->literal && writer->open == 'p')
        imc_commands_mask(engine);
    writer->offset += count;
    if (count == 0) {
        imc_commands_show(engine, "\"", (size_t)quoted);
        writer->open = 0;
        writer->texts++;
    } else if (quoted) {
        imc_commands_quote(engine, next, 1);
    } else {
        imc_commands_show(engine, next, count);
    }
}

/* The next bytes of the argument that is open, or its end. */
static void imc_commands_argument(imapconnect_engine *engine)
{
    switch (engine->writer.open) {
#ifndef IMAPCONNECT_NO_SASL
    case 'b':
        imc_commands_payload(engine);
        break;
#endif
#ifndef IMAPCONNECT_NO_COMMANDS
    case 'm':
        imc_commands_mailbox(engine, engine->writer.text[engine->writer.texts]);
        break;
    case 'l':
        imc_commands_upload(engine);
        break;
#endif
    default:
        imc_commands_text(engine);
    }
}

/* The format up to its next argument. */
static void imc_commands_format(imapconnect_engine *engine)
{
    imapconnect_writer *writer = &engine->writer;
    size_t room = sizeof writer->out.bytes - writer->used, count = 0;
    while (count < room && writer->format[count] != '\0' && writer->format[count] != '%')
        count++;
    imc_commands_show(engine, writer->format, count);
    writer->format += count;
}

/* Writes on: until the command is whole, a literal waits, or the buffer is full. */
static void imc_commands_fill(imapconnect_engine *engine)
{
    imapconnect_writer *writer = &engine->writer;
    while (writer->format != 0 && !writer->waiting && engine->error == 0 &&
           sizeof writer->out.bytes - writer->used >= IMC_WRITE_ROOM) {
        if (writer->open) {
            imc_commands_argument(engine);
        } else if (*writer->format == '%') {
            imc_commands_open(engine);
        } else if (*writer->format != '\0') {
            imc_commands_format(engine);
        } else {
            imc_commands_line_end(engine);
            writer->format = 0;
        }
    }
}

/* A line that has begun already is no answer to what is going to be sent, and its values are not read any more: their
   place is needed. */
static void imc_commands_disown(imapconnect_engine *engine)
{
    engine->writer.borrowed = 0;
    engine->reader.early = 1;
    engine->reader.collects = 0;
}

/* Begins a command: a new tag, and then the format, whose arguments the caller has set. A letter stands before the
   counter, since some servers refuse tags of digits alone. */
static void imc_commands_begin(imapconnect_engine *engine, const char *format)
{
    imapconnect_writer *writer = &engine->writer;
    char *tag = engine->reader.tag;
    size_t count;
    tag[0] = 'a';
    count = 1 + imc_bytes_decimal(tag + 1, ++writer->counter);
    tag[count] = '\0';
    writer->format = format;
    writer->texts = writer->numbers = writer->open = 0;
    writer->waiting = writer->literal = writer->pushed = 0;
    imc_commands_disown(engine);
    imc_commands_show(engine, tag, count);
    imc_commands_show(engine, " ", 1);
    imc_commands_fill(engine);
}

/* 1 when every byte of the command has left. */
static int imc_commands_are_sent(const imapconnect_writer *writer)
{
    return writer->sent == writer->used && (writer->format == 0 || writer->waiting);
}

/* Some bytes have left. Once all have, what was secret in the buffer is wiped. */
static void imc_commands_sent(imapconnect_engine *engine, size_t count)
{
    imapconnect_writer *writer = &engine->writer;
    writer->sent = (uint16_t)(writer->sent + count);
    if (writer->sent < writer->used)
        return;
    if (writer->secret)
        IMAPCONNECT_WIPE(&writer->out, sizeof writer->out);
    writer->secret = 0;
    writer->used = writer->sent = 0;
    imc_commands_fill(engine);
}

/* -- what a call may say -- */

/* A command text that only the library itself may send, or that is no whole line. Returns 0 or an error. */
static int imc_commands_check(const char *text, size_t count)
{
    size_t word = 0, i;
    if (count == 0 || text[0] == ' ' || !imc_commands_is_line(text, count))
        return IMAPCONNECT_E_VALUE;
    while (word < count && text[word] != ' ')
        word++;
    if (imc_bytes_word(text, word,
                       "LOGIN\0AUTHENTICATE\0UNAUTHENTICATE\0STARTTLS\0COMPRESS\0LOGOUT\0IDLE\0ENABLE\0") != 0)
        return IMAPCONNECT_E_USE_FUNCTION;
    if (text[count - 1] != '}')
        return 0;
    for (i = count - 1; i > 0 && (imc_bytes_is_digit(text[i - 1]) || text[i - 1] == '+');)
        i--;
    return i > 0 && i < count - 1 && text[i - 1] == '{' ? IMAPCONNECT_E_LITERAL : 0;
}

#ifndef IMAPCONNECT_NO_COMMANDS

/* A text that stands in a command as it is: printable ASCII, since anything else could end its line; none of these
   bytes, "{" among them, which could begin a literal. */
static int imc_commands_is_plain(const char *text, const char *without)
{
    for (; *text != '\0'; text++)
        if (*text < 0x20 || *text > 0x7e || memchr(without, *text, strlen(without)) != 0)
            return 0;
    return 1;
}

/* Quotes that are not closed would take what follows into the string, and a literal out of it. */
static int imc_commands_is_closed(const char *criteria)
{
    int quoted = 0;
    for (; *criteria != '\0'; criteria++) {
        if (*criteria == '"')
            quoted = !quoted;
        else if (quoted && *criteria == '\\' && criteria[1] != '\0')
            criteria++;
    }
    return !quoted;
}

/* Each of these makes another language of it: IMAP4rev2 has other codes and data, RFC 9051 appendix E; with QRESYNC
   VANISHED stands for EXPUNGE, RFC 7162 section 3.2.10; UIDONLY has no sequence numbers, RFC 9586. */
static int imc_commands_may_enable(const char *extensions)
{
    for (;; extensions++) {
        size_t count = 0;
        while (extensions[count] != '\0' && extensions[count] != ' ')
            count++;
        if (count == 0 || imc_bytes_word(extensions, count, "IMAP4rev2\0QRESYNC\0UIDONLY\0") != 0)
            return 0;
        extensions += count;
        if (*extensions == '\0')
            return 1;
    }
}

/* May this text of `count` bytes be sent for this letter of a format? A section stands between brackets, and must not
   close them; a charset is an atom. */
static int imc_commands_is_good(const imapconnect_engine *engine, int letter, const char *text, size_t count)
{
    if (letter > 'd')
        return imc_commands_is_line(text, count) &&
               (letter != 'm' || text[0] == IMC_RAW_NAME || imc_names_is_utf8(text));
    if (!imc_commands_is_plain(text, letter == 'B' ? "{[]\"\\" : letter == 'H' ? "{ ()\"\\" : "{"))
        return 0;
    if (letter == 'Q')
        return count != 0 && imc_commands_is_closed(text);
    if (letter == 'H')
        return engine->utf8 ? imc_bytes_same(text, count, "UTF-8") : count != 0;
    if (letter == 'E')
        return imc_commands_may_enable(text);
    return letter != 'd' || count == 26;
}

#endif

/* Returns 0 or an error. */
static int imc_commands_check_text(const imapconnect_engine *engine, int letter, const char *text)
{
    size_t count = strlen(text);
    if (letter == 'C')
        return imc_commands_check(text, count);
#ifndef IMAPCONNECT_NO_COMMANDS
    if (!imc_commands_is_good(engine, letter, text, count))
        return IMAPCONNECT_E_VALUE;
    if ((letter == 'i' && count > IMC_MAX_ID) || (letter == 'B' && count > IMAPCONNECT_MAX_ARGUMENT))
        return IMAPCONNECT_E_TOO_LONG;
#else
    (void)engine;
#endif
    return 0;
}

#ifndef IMAPCONNECT_NO_COMMANDS

/* The caller's function, and where the outputs go: they come first. */
static int imc_commands_collect_taker(imapconnect_engine *engine, unsigned traits, va_list *arguments)
{
    if ((traits & IMC_TAKES) != 0) {
        engine->taker = va_arg(*arguments, imapconnect_taker);
        if (engine->taker.sink == 0 && (traits & IMC_LISTS) == IMC_LISTS)
            return IMAPCONNECT_E_NO_LIST;
        if (engine->taker.sink == 0 && (traits & IMC_STREAMS) == IMC_STREAMS)
            return IMAPCONNECT_E_PARAMETER;
    }
    if ((traits & (IMC_TAKES | IMC_FILLS)) != 0)
        engine->user = va_arg(*arguments, void *);
    return 0;
}

#endif

/* The arguments of a call, in the order of its format, each of them checked. Returns 0 or an error. */
static int imc_commands_collect(imapconnect_engine *engine, const struct imc_command *command, va_list *arguments)
{
    const char **text = engine->writer.text, *format = command->format;
    int code = 0, optional = 0;
#ifndef IMAPCONNECT_NO_COMMANDS
    uint32_t *number = engine->writer.number;
    memset(number, 0, sizeof engine->writer.number);
    code = imc_commands_collect_taker(engine, command->traits, arguments);
#endif
    for (; code == 0 && *format != '\0'; format++) {
        if (*format != '%')
            continue;
        format++;
#ifndef IMAPCONNECT_NO_COMMANDS
        if (*format == '(' || *format == ')') {
            optional = *format == '(';
            continue;
        }
        if (memchr("nuxfl", *format, 5) != 0) {
            *number = va_arg(*arguments, uint32_t);
            if (*number++ == 0 && *format == 'u')
                code = IMAPCONNECT_E_VALUE;
            continue;
        }
#endif
        *text = va_arg(*arguments, const char *);
        if (*text != 0)
            code = imc_commands_check_text(engine, *format, *text);
        else if (!optional)
            code = IMAPCONNECT_E_PARAMETER;
#ifndef IMAPCONNECT_NO_COMMANDS
        if (*format == 'H' && engine->utf8)
            *text = 0; /* it is UTF-8, and must not be named: RFC 6855 section 3 */
#endif
        text++;
    }
    return code;
}

/* >>engine ------------------------------------------------------------------------------------------- *
 * The protocol. Two rules: all that changes the state stands in this room, and its table says when; it
 * does not know who calls, so there is no I/O, no clock, and no memory of its own. Invariant: the first
 * error stays, and nothing is written after it. */

enum imc_state {
    IMC_ANY, /* in the table; of a session: closed */
    IMC_OPENING,
    IMC_SECURING, /* the handshake; the engine stands still meanwhile */
    IMC_GREETING,
    IMC_CAPABILITY,
    IMC_STARTTLS,
    IMC_AUTHENTICATE,
    IMC_LOGIN,
    IMC_READY,
    IMC_ASKING, /* CAPABILITY after the login, before a command that depends on them */
    IMC_COMMAND,
    IMC_REFUSED, /* but a literal that was announced has to leave all the same */
    IMC_IDLING,  /* IDLE is sent, and waits for its "+" */
    IMC_IDLE,    /* waiting for news */
    IMC_LOGOUT
};
#define IMC_CLOSED  IMC_ANY
#define IMC_UNKNOWN 0xffffffffu /* how many messages there are; nobody has said */

static const char *const imc_engine_phases[] = {"closed",   "connecting",   "handshake", "greeting", "capability",
                                                "starttls", "authenticate", "login",     "ready",    "capability",
                                                "command",  "command",      "command",   "idle",     "logout"};

/* imapconnect_engine.exchange: how far AUTHENTICATE is. */
enum imc_exchange {
    IMC_NOT_ANSWERED,
    IMC_ANSWERED, /* all is said that there is to say: now OK counts */
    IMC_GIVEN_UP, /* the server's NO is awaited, and the reason is known */
    IMC_BEGUN,    /* SCRAM: client-first is sent, ... */
    IMC_DERIVING, /* ... the server has answered, and the key takes its time, ... */
    IMC_PROVED    /* ... client-final is sent, and the server has to prove itself */
};

static const struct imc_command imc_engine_noop = {"NOOP", 0, 0, 0, IMAPCONNECT_E_NOOP, 0};
static const struct imc_command imc_engine_text = {"%C", 0, 0, 0, IMAPCONNECT_E_NO, 0};
static const struct imc_command imc_engine_logout = {"LOGOUT", 0, 0, 0, IMAPCONNECT_E_LOGOUT, IMC_ENDS};

/* Sends a command, and a new time limit begins. */
static void imc_engine_send(imapconnect_engine *engine, int state, const char *format)
{
    engine->state = (uint8_t)state;
    engine->reply_bytes = 0;
    engine->reply_lines = 0;
    engine->step++;
    imc_commands_begin(engine, format);
}

/* The call has ended well, or with an error after which the session goes on. */
static void imc_engine_finish(imapconnect_engine *engine, int result)
{
    engine->state = IMC_READY;
    engine->reader.tag[0] = '\0';
    engine->result = (int16_t)result;
    engine->done = 1;
}

/* A mechanism, and the server's "+" during its exchange. `clear` ones show the password to whoever reads the line. */
typedef struct imc_mechanism {
    const char *name;
    const char *command; /* its texts are user name and password */
#ifndef IMAPCONNECT_NO_SASL
    void (*answer)(imapconnect_engine *engine, const struct imc_mechanism *mechanism, int code);
    const char *first; /* what the client says first, see >>sasl; 0: the server speaks first */
    uint8_t said;      /* the exchange once that is sent: IMC_ANSWERED, IMC_BEGUN */
    uint8_t hash;      /* of SCRAM */
    uint8_t token;     /* the password is a token */
    uint8_t bound;     /* to the TLS connection */
    uint16_t bit;      /* of config.auth */
#endif
    uint8_t clear;
    uint8_t state;
    imapconnect_capabilities needs;
    imapconnect_capabilities not_with;
} imc_mechanism;

#if defined(IMC_HAS_CRAM_MD5) || !defined(IMAPCONNECT_NO_SASL)

/* A line that is just "*" cancels the exchange, RFC 3501 section 6.2.2. The server answers it with BAD, and
   the next mechanism may follow. */
static void imc_engine_give_up(imapconnect_engine *engine, int code)
{
    engine->login_error = (int16_t)code;
    engine->exchange = IMC_GIVEN_UP;
    imc_commands_show(engine, "*", 1);
    imc_commands_line_end(engine);
}

#endif
#if defined(IMC_HAS_CRAM_MD5) || defined(IMC_HAS_SCRAM)

/* An answer that was computed in the transmit buffer, `count` bytes of it, leaves. */
static void imc_engine_prove(imapconnect_engine *engine, size_t count, int exchange)
{
    engine->writer.used = (uint16_t)count;
    engine->writer.secret = 1;
    engine->exchange = (uint8_t)exchange;
    imc_commands_mask(engine);
    imc_commands_line_end(engine);
}

#endif
#ifdef IMC_HAS_CRAM_MD5

/* CRAM-MD5: the first "+" is the challenge; "*" declines what is wrong with it, and any further one. */
static void imc_engine_answer_cram(imapconnect_engine *engine, const imc_mechanism *mechanism, int code)
{
    const imapconnect_reader *reader = &engine->reader;
    const imapconnect_writer *writer = &engine->writer;
    size_t count = 0;
    int first = engine->exchange == IMC_NOT_ANSWERED;
    (void)mechanism;
    if (first && reader->base64_bad == IMC_BASE64_GOOD && reader->challenge != 0)
        count = imc_sasl_cram_md5(engine->writer.out.bytes, reader->challenge, writer->text[0], writer->text[1]);
    if (count == 0)
        imc_engine_give_up(engine, first && reader->base64_bad == IMC_BASE64_BAD ? IMAPCONNECT_E_CHALLENGE : code);
    else
        imc_engine_prove(engine, count, IMC_ANSWERED);
}

#endif
#ifndef IMAPCONNECT_NO_SASL

/* Goes on with a line that has no tag. */
static void imc_engine_say(imapconnect_engine *engine, const char *format, int exchange)
{
    engine->exchange = (uint8_t)exchange;
    engine->writer.format = format;
    imc_commands_fill(engine);
}

/* PLAIN, EXTERNAL: all was said, and more is wanted. */
static void imc_engine_answer_nothing(imapconnect_engine *engine, const imc_mechanism *mechanism, int code)
{
    (void)mechanism;
    imc_engine_give_up(engine, code);
}

/* The token is refused, and the challenge says why, in JSON: RFC 7628 section 3.2.2, where the client has to say ^A;
   with XOAUTH2 it has to say nothing. Google's status is a number of HTTP. */
static void imc_engine_answer_token(imapconnect_engine *engine, const imc_mechanism *mechanism, int code)
{
    imapconnect_reader *reader = &engine->reader;
    (void)code;
    engine->login_error = IMAPCONNECT_E_LOGIN_REJECTED;
    if (reader->base64_bad == IMC_BASE64_GOOD) {
        reader->text_length = 0;
        imc_responses_keep(reader->text, &reader->text_length, sizeof reader->text, engine->writer.out.bytes,
                           reader->challenge);
        reader->explained = reader->text_length;
        if (imc_bytes_holds(reader->text, "invalid_token") || imc_bytes_holds(reader->text, "\"400\"") ||
            imc_bytes_holds(reader->text, "\"401\""))
            engine->login_error = IMAPCONNECT_E_TOKEN;
    }
    imc_engine_say(engine, mechanism->bit == IMAPCONNECT_AUTH_OAUTHBEARER ? "AQ==" : "", IMC_GIVEN_UP);
}

#endif
#ifdef IMC_HAS_SCRAM

/* gs2-header, RFC 5802 section 7. "y" says that we could bind the exchange to the TLS connection and believe that the
   server cannot: one that can then knows that somebody has changed its list (section 6). */
static const char *imc_engine_scram_header(const imapconnect_engine *engine, const imc_mechanism *mechanism)
{
    if (mechanism->bound)
        return "p=tls-exporter,,";
    return engine->binds && mechanism->hash == IMC_SHA_256 &&
                   (engine->capabilities & IMC_CAN_AUTH_SCRAM_256_PLUS) == 0
               ? "y,,"
               : "n,,";
}

/* What the exchange rests on. */
static void imc_engine_scram(const imapconnect_engine *engine, const imc_mechanism *mechanism, imc_scram *scram)
{
    scram->hash = mechanism->hash;
    scram->texts = engine->writer.text;
    scram->message.bytes = (const unsigned char *)engine->writer.out.bytes;
    scram->message.count = engine->reader.challenge;
}

/* server-first-message. Too few iterations make the password cheap to guess for who listens, and too many are an attack
   on the device. Nothing weaker is tried after these errors: it is not the password that is wrong. */
static int imc_engine_scram_first(imapconnect_engine *engine, const imc_mechanism *mechanism)
{
    uint32_t most = engine->config->scram_iterations;
    imc_scram scram;
    imc_engine_scram(engine, mechanism, &scram);
    if (engine->reader.base64_bad != IMC_BASE64_GOOD ||
        scram.message.count > sizeof engine->writer.out.challenge.message || !imc_scram_parse(&scram))
        return IMAPCONNECT_E_SCRAM;
    if (scram.iterations < IMC_MIN_ITERATIONS || scram.iterations > (most != 0 ? most : IMC_MAX_ITERATIONS))
        return IMAPCONNECT_E_SCRAM_ITERATIONS;
    return imc_scram_begin(&scram, &engine->writer.out.challenge.scram);
}

/* server-final-message: the server knows the password, too, or it is an impostor. Returns 0 when it does. */
static int imc_engine_scram_final(const imapconnect_engine *engine, const imc_mechanism *mechanism)
{
    imc_slice rest, value;
    char signature[44];
    size_t count =
        imc_sasl_base64_encode(signature, (const unsigned char *)engine->scram, imc_hash_size(mechanism->hash));
    rest.bytes = (const unsigned char *)engine->writer.out.bytes;
    rest.count = engine->reader.challenge;
    if (engine->reader.base64_bad == IMC_BASE64_GOOD && imc_scram_attribute(&rest, 'v', &value) &&
        value.count == count && memcmp(value.bytes, signature, count) == 0)
        return 0;
    return IMAPCONNECT_E_SCRAM;
}

static void imc_engine_answer_scram(imapconnect_engine *engine, const imc_mechanism *mechanism, int code)
{
    if (engine->exchange == IMC_BEGUN) {
        code = imc_engine_scram_first(engine, mechanism);
        engine->exchange = IMC_DERIVING;
    } else if (engine->exchange == IMC_PROVED) {
        code = imc_engine_scram_final(engine, mechanism);
        if (code == 0)
            imc_engine_say(engine, "", IMC_ANSWERED);
    }
    if (code != 0)
        imc_engine_fail(engine, code);
}

#endif

/* The mechanisms: those that take no password, then from the strongest to the weakest, which is the documented order,
   too. */
static const imc_mechanism imc_engine_mechanisms[] = {
#ifndef IMAPCONNECT_NO_SASL
    {"EXTERNAL", "AUTHENTICATE EXTERNAL%I", imc_engine_answer_nothing, "%0", IMC_ANSWERED, 0, 0, 0,
     IMAPCONNECT_AUTH_EXTERNAL, 1, IMC_AUTHENTICATE, IMC_CAN_AUTH_EXTERNAL, 0},
    {"OAUTHBEARER", "AUTHENTICATE OAUTHBEARER%I", imc_engine_answer_token, "n,%a,\1auth=Bearer %1\1\1", IMC_ANSWERED,
     0, 1, 0, IMAPCONNECT_AUTH_OAUTHBEARER, 1, IMC_AUTHENTICATE, IMC_CAN_AUTH_OAUTHBEARER, 0},
    {"XOAUTH2", "AUTHENTICATE XOAUTH2%I", imc_engine_answer_token, "user=%0\1auth=Bearer %1\1\1", IMC_ANSWERED, 0, 1,
     0, IMAPCONNECT_AUTH_XOAUTH2, 1, IMC_AUTHENTICATE, IMC_CAN_AUTH_XOAUTH2, 0},
#ifdef IMC_HAS_SCRAM
    {"SCRAM-SHA-256-PLUS", "AUTHENTICATE SCRAM-SHA-256-PLUS%I", imc_engine_answer_scram, IMC_SCRAM_BARE, IMC_BEGUN,
     IMC_SHA_256, 0, 1, IMAPCONNECT_AUTH_SCRAM_SHA_256_PLUS | IMAPCONNECT_AUTH_SCRAM_SHA_256, 0, IMC_AUTHENTICATE,
     IMC_CAN_AUTH_SCRAM_256_PLUS, 0},
    {"SCRAM-SHA-256", "AUTHENTICATE SCRAM-SHA-256%I", imc_engine_answer_scram, IMC_SCRAM_BARE, IMC_BEGUN, IMC_SHA_256,
     0, 0, IMAPCONNECT_AUTH_SCRAM_SHA_256, 0, IMC_AUTHENTICATE, IMC_CAN_AUTH_SCRAM_256, 0},
#ifdef IMC_HAS_SCRAM_SHA_1
    {"SCRAM-SHA-1", "AUTHENTICATE SCRAM-SHA-1%I", imc_engine_answer_scram, IMC_SCRAM_BARE, IMC_BEGUN, IMC_SHA_1, 0, 0,
     IMAPCONNECT_AUTH_SCRAM_SHA_1, 0, IMC_AUTHENTICATE, IMC_CAN_AUTH_SCRAM_1, 0},
#endif
#endif
#define IMC_SASL(answer, bit) answer, 0, 0, 0, 0, 0, bit,
#else
#define IMC_SASL(answer, bit)
#endif
#ifdef IMC_HAS_CRAM_MD5
    {"CRAM-MD5", "AUTHENTICATE CRAM-MD5", IMC_SASL(imc_engine_answer_cram, IMAPCONNECT_AUTH_CRAM_MD5) 0,
     IMC_AUTHENTICATE, IMC_CAN_AUTH_CRAM_MD5, 0},
#endif
#ifndef IMAPCONNECT_NO_SASL
    {"PLAIN", "AUTHENTICATE PLAIN%I", imc_engine_answer_nothing, "%z%0%z%1", IMC_ANSWERED, 0, 0, 0,
     IMAPCONNECT_AUTH_PLAIN, 1, IMC_AUTHENTICATE, IMC_CAN_AUTH_PLAIN, 0},
#endif
    {"LOGIN", "LOGIN %s %p", IMC_SASL(0, IMAPCONNECT_AUTH_LOGIN) 1, IMC_LOGIN, 0, IMC_CAN_NOT_LOGIN}};
#undef IMC_SASL
#define IMC_MECHANISMS (sizeof imc_engine_mechanisms / sizeof imc_engine_mechanisms[0])

#ifndef IMAPCONNECT_NO_SASL

/* Is it one of those that the configuration names? One that is bound to the TLS connection, where that can be done, takes
   the place of the same that is not. */
static int imc_engine_wants(const imapconnect_engine *engine, const imc_mechanism *mechanism)
{
    int auth = engine->config->auth, bound = 0;
    if (auth == IMAPCONNECT_AUTH_AUTO)
        auth = IMAPCONNECT_AUTH_CRAM_MD5 | IMAPCONNECT_AUTH_LOGIN;
#ifdef IMC_HAS_SCRAM
    if (mechanism->bound && !engine->binds)
        return 0;
    bound = engine->binds && (engine->capabilities & IMC_CAN_AUTH_SCRAM_256_PLUS) != 0 &&
            mechanism->bit == IMAPCONNECT_AUTH_SCRAM_SHA_256;
#endif
    return (auth & mechanism->bit) != 0 && !bound && engine->tries < IMC_MAX_TRIES;
}

/* May a password be shown to who reads the line? */
static int imc_engine_shows(const imapconnect_engine *engine)
{
    int auth = engine->config->auth;
    return !engine->config->refuse_cleartext &&
           (auth == IMAPCONNECT_AUTH_AUTO || (auth & IMAPCONNECT_AUTH_IN_CLEAR) != 0);
}

/* What is needed to speak first. */
static void imc_engine_prepare(imapconnect_engine *engine, const imc_mechanism *mechanism)
{
    imapconnect_writer *writer = &engine->writer;
    memset(&writer->payload, 0, sizeof writer->payload);
    writer->payload.format = mechanism->first;
    engine->tries++;
    engine->reader.explained = 0;
    if ((engine->capabilities & IMC_CAN_SASL_IR) != 0)
        engine->exchange = mechanism->said; /* where the server speaks first that is IMC_NOT_ANSWERED */
#ifdef IMC_HAS_SCRAM
    if (mechanism->hash != IMC_NO_HASH) {
        writer->payload.text = imc_engine_scram_header(engine, mechanism);
        writer->text[2] = engine->scram;
        if (imc_scram_nonce(engine->scram) != 0)
            imc_engine_fail(engine, IMAPCONNECT_E_RANDOM);
    }
#endif
}

#endif

/* May this mechanism be used? If only the configuration is against it, that is the error of the login. */
static int imc_engine_allows(imapconnect_engine *engine, const imc_mechanism *mechanism)
{
#ifndef IMAPCONNECT_NO_SASL
    int shows = imc_engine_shows(engine);
    if (!imc_engine_wants(engine, mechanism))
        return 0;
#else
    int shows = !engine->config->refuse_cleartext;
#endif
    if ((engine->capabilities & mechanism->needs) != mechanism->needs ||
        (engine->capabilities & mechanism->not_with) != 0)
        return 0;
    if (!mechanism->clear || engine->encrypted || shows)
        return 1;
    engine->login_error = IMAPCONNECT_E_CLEARTEXT;
    return 0;
}

/* The next mechanism that the server offers, each of them once in a connect. */
static void imc_engine_log_in(imapconnect_engine *engine)
{
    while (engine->mechanism < IMC_MECHANISMS) {
        const imc_mechanism *mechanism = &imc_engine_mechanisms[engine->mechanism++];
        if (!imc_engine_allows(engine, mechanism))
            continue;
        engine->exchange = IMC_NOT_ANSWERED;
        engine->offered = 0;
#ifndef IMAPCONNECT_NO_SASL
        imc_engine_prepare(engine, mechanism);
#endif
        imc_engine_send(engine, mechanism->state, mechanism->command);
        return;
    }
#ifndef IMAPCONNECT_NO_SASL
    if (engine->login_error == 0 && engine->config->auth != IMAPCONNECT_AUTH_AUTO)
        engine->login_error = IMAPCONNECT_E_NO_MECHANISM;
#endif
    if (engine->login_error == 0)
        engine->login_error = IMAPCONNECT_E_NO_LOGIN;
    imc_engine_fail(engine, engine->login_error);
}

/* What comes next on the way in, from what is known now. */
static void imc_engine_advance(imapconnect_engine *engine)
{
    int in_clear = engine->secure == IMAPCONNECT_STARTTLS && !engine->encrypted;
    if (engine->capabilities == 0) {
        imc_engine_send(engine, IMC_CAPABILITY, "CAPABILITY");
    } else if ((engine->capabilities & IMC_CAN_IMAP4REV1) == 0) {
        imc_engine_fail(engine, IMAPCONNECT_E_NOT_IMAP4REV1);
    } else if (in_clear && (engine->capabilities & IMC_CAN_STARTTLS) == 0) {
        imc_engine_fail(engine, IMAPCONNECT_E_NO_STARTTLS);
    } else if (in_clear) {
        imc_engine_send(engine, IMC_STARTTLS, "STARTTLS");
    } else if (engine->preauth) {
        imc_engine_finish(engine, IMAPCONNECT_OK);
    } else {
        imc_engine_log_in(engine);
    }
}

/* -- the actions of the table; `code` stands in the row -- */

static void imc_engine_ignore(imapconnect_engine *engine, int code)
{
    (void)engine;
    (void)code;
}

/* The greeting may list the capabilities, RFC 3501 section 7.1; then they are not asked for. */
static void imc_engine_greeted(imapconnect_engine *engine, int code)
{
    (void)code;
    engine->capabilities = engine->reader.listed;
    imc_engine_advance(engine);
}

/* PREAUTH says that we are logged in already. With STARTTLS that would keep the whole session in clear text, since
   the command is not legal then: CVE-2020-12398, CVE-2020-14093. */
static void imc_engine_preauth(imapconnect_engine *engine, int code)
{
    if (engine->secure == IMAPCONNECT_STARTTLS) {
        imc_engine_fail(engine, code);
        return;
    }
    engine->preauth = 1;
    imc_engine_greeted(engine, 0);
    engine->asked = 1; /* what the server can do now is what it says now */
}

/* A capability list counts while our CAPABILITY is outstanding; the last one that has an atom. */
static void imc_engine_listed(imapconnect_engine *engine, int code)
{
    (void)code;
    if (engine->reader.listed != 0 && !engine->reader.early)
        engine->capabilities = engine->reader.listed;
}

/* During a login it may be part of the reply; it counts if that is OK, and decides nothing before. */
static void imc_engine_offered(imapconnect_engine *engine, int code)
{
    (void)code;
    if (engine->reader.listed != 0)
        engine->offered = engine->reader.listed;
}

/* OK to CAPABILITY without a list is no answer. */
static void imc_engine_capable(imapconnect_engine *engine, int code)
{
    if (engine->capabilities == 0)
        imc_engine_fail(engine, code);
    else
        imc_engine_advance(engine);
}

/* The session looks for bytes behind the OK, and goes on with the handshake. */
static void imc_engine_secure(imapconnect_engine *engine, int code)
{
    (void)code;
    engine->state = IMC_SECURING;
    engine->reader.tag[0] = '\0';
    engine->step++;
}

/* Of a mechanism without a number of its own it is another one. */
static int imc_engine_login_code(const imapconnect_engine *engine, int code)
{
#ifndef IMAPCONNECT_NO_SASL
    if (code == IMAPCONNECT_E_CRAM_MD5 && engine->mechanism != 0 &&
        imc_engine_mechanisms[engine->mechanism - 1].bit != IMAPCONNECT_AUTH_CRAM_MD5)
        return engine->exchange == IMC_PROVED ? IMAPCONNECT_E_SCRAM : IMAPCONNECT_E_AUTHENTICATE;
#else
    (void)engine;
#endif
    return code;
}

/* The answer to a "+", or what the client says first. */
static void imc_engine_answer(imapconnect_engine *engine, int code)
{
#ifndef IMAPCONNECT_NO_SASL
    const imc_mechanism *mechanism = &imc_engine_mechanisms[engine->mechanism - 1];
    if (engine->exchange == IMC_NOT_ANSWERED && mechanism->first != 0)
        imc_engine_say(engine, "%b", mechanism->said);
    else
        mechanism->answer(engine, mechanism, code);
#elif defined(IMC_HAS_CRAM_MD5)
    imc_engine_answer_cram(engine, 0, code);
#else
    (void)engine, (void)code; /* nothing was said that asks for one */
#endif
}

/* "+" during AUTHENTICATE, RFC 3501 section 6.2.2. */
static void imc_engine_challenged(imapconnect_engine *engine, int code)
{
    code = imc_engine_login_code(engine, code);
    if (engine->exchange == IMC_GIVEN_UP)
        imc_engine_fail(engine, code);
    else
        imc_engine_answer(engine, code);
}

#ifdef IMC_HAS_SCRAM

/* 1 while the key of SCRAM is derived, and nothing is read. */
static int imc_engine_is_deriving(const imapconnect_engine *engine)
{
    return engine->state == IMC_AUTHENTICATE && engine->exchange == IMC_DERIVING;
}

/* A part of the key, which takes nothing of the server's time. Returns 1 when it is whole. */
static int imc_engine_derive(imapconnect_engine *engine)
{
    imapconnect_scram *key = &engine->writer.out.challenge.scram;
    engine->step++;
    if (imc_scram_derive(imc_engine_mechanisms[engine->mechanism - 1].hash, engine->writer.text[1], key) != 0)
        imc_engine_fail(engine, IMAPCONNECT_E_AUTHENTICATE);
    return engine->error == 0 && key->left == 0;
}

/* client-final-message, and the signature that the server must give. `binding` stands behind its "c=". */
static void imc_engine_scram_prove(imapconnect_engine *engine, const char *binding)
{
    unsigned char proof[32], *signature = (unsigned char *)engine->scram;
    imc_scram scram;
    imc_engine_scram(engine, &imc_engine_mechanisms[engine->mechanism - 1], &scram);
    if (!imc_scram_parse(&scram) ||
        imc_scram_prove(&scram, &engine->writer.out.challenge.scram, binding, proof, signature) != 0)
        imc_engine_fail(engine, IMAPCONNECT_E_AUTHENTICATE);
    else
        imc_engine_prove(engine, imc_scram_compose(&scram, binding, proof, engine->writer.out.bytes), IMC_PROVED);
    IMAPCONNECT_WIPE(proof, sizeof proof);
}

#endif

/* "+" for the literal that waits. Anywhere else it asks for more, and there is no more: who went on now would send the
   next command as data. */
static void imc_engine_continued(imapconnect_engine *engine, int code)
{
    if (!engine->writer.waiting) {
        imc_engine_fail(engine, code);
        return;
    }
    engine->writer.waiting = 0;
    imc_commands_fill(engine);
}

/* OK to a login. Before our answer to the challenge, after "*", or in place of a "+", it is a lie. */
static void imc_engine_entered(imapconnect_engine *engine, int code)
{
    if (engine->writer.waiting || (engine->state == IMC_AUTHENTICATE && engine->exchange != IMC_ANSWERED)) {
        imc_engine_fail(engine, imc_engine_login_code(engine, code));
        return;
    }
    if (engine->reader.listed != 0)
        engine->offered = engine->reader.listed;
    if (engine->offered != 0)
        engine->capabilities = engine->offered;
    engine->asked = engine->offered != 0;
    engine->entered = engine->mechanism;
    imc_engine_finish(engine, IMAPCONNECT_OK);
}

/* NO or BAD to a login: the next mechanism. After our "*" the reason for that is kept. */
static void imc_engine_refused(imapconnect_engine *engine, int code)
{
    if (engine->exchange != IMC_GIVEN_UP)
        engine->login_error = (int16_t)imc_engine_login_code(engine, code);
#ifndef IMAPCONNECT_NO_SASL
    if (imc_engine_mechanisms[engine->mechanism - 1].token &&
        imc_bytes_same(engine->reader.code, engine->reader.code_length, "EXPIRED"))
        engine->login_error = IMAPCONNECT_E_TOKEN; /* RFC 5530 */
#endif
    imc_engine_log_in(engine);
}

/* Sends a command of a call. */
static void imc_engine_run(imapconnect_engine *engine, const struct imc_command *command, const char *format)
{
    engine->command = command;
    imc_engine_send(engine, (command->traits & IMC_ENDS) != 0 ? IMC_LOGOUT : IMC_COMMAND, format);
}

/* The command of a call, unless its `next` chooses another one. */
static void imc_engine_first(imapconnect_engine *engine)
{
    const struct imc_command *command = engine->command;
    if ((command->traits & IMC_CHOOSES) != 0)
        command->next(engine);
    else
        imc_engine_run(engine, command, command->format);
}

/* A call begins. */
static void imc_engine_begin(imapconnect_engine *engine, const struct imc_command *command)
{
    engine->command = command;
    if ((command->traits & IMC_SELECTS) != 0)
        engine->exists = 0; /* those of the mailbox before count no more */
    if ((command->traits & IMC_ASKS) != 0 && !engine->asked)
        imc_engine_send(engine, IMC_ASKING, "CAPABILITY");
    else
        imc_engine_first(engine);
}

/* The capabilities after the login came, or were refused; then those from before it must do. */
static void imc_engine_asked(imapconnect_engine *engine, int code)
{
    (void)code;
    engine->asked = 1;
    imc_engine_first(engine);
}

/* OK: the command is done, and perhaps the next one of the same call follows. In place of a "+" it is a lie. */
static void imc_engine_answered(imapconnect_engine *engine, int code)
{
    if (engine->writer.waiting)
        imc_engine_fail(engine, code);
    else if (engine->command->next != 0)
        engine->command->next(engine);
    else
        imc_engine_finish(engine, IMAPCONNECT_OK);
}

/* NO or BAD: the session goes on. A command without a number of its own has one for each of the two. What is left of a
   literal that was announced without asking must leave before anything else can: RFC 7888 section 4. */
static void imc_engine_declined(imapconnect_engine *engine, int code)
{
    code = engine->command->refused;
    if (code == IMAPCONNECT_E_NO && engine->reader.saw == IMC_SAW_TAGGED_BAD)
        code = IMAPCONNECT_E_BAD;
    if ((engine->command->traits & IMC_SELECTS) != 0)
        engine->exists = IMC_UNKNOWN;
    imc_engine_finish(engine, code);
    if (imc_commands_are_sent(&engine->writer))
        return;
    engine->done = 0;
    engine->state = IMC_REFUSED;
}

#ifndef IMAPCONNECT_NO_COMMANDS

/* Bytes have left: were they the last ones of a command that is refused already? */
static void imc_engine_sent(imapconnect_engine *engine)
{
    if (engine->state == IMC_REFUSED && imc_commands_are_sent(&engine->writer))
        imc_engine_finish(engine, engine->result);
}

#endif
#ifndef IMAPCONNECT_NO_IDLE

/* Asks for news, and the wait begins with the "+": RFC 2177. */
static void imc_engine_idle(imapconnect_engine *engine)
{
    imc_engine_send(engine, IMC_IDLING, "IDLE");
}

static void imc_engine_waits(imapconnect_engine *engine, int code)
{
    (void)code;
    engine->state = IMC_IDLE;
    engine->step++;
}

/* Waits with nothing outstanding. */
static void imc_engine_pause(imapconnect_engine *engine)
{
    engine->reader.tag[0] = '\0';
    imc_engine_waits(engine, 0);
}

/* Ends IDLE, by a line without a tag; it is the one of IDLE that is answered now. */
static void imc_engine_done(imapconnect_engine *engine)
{
    engine->state = IMC_COMMAND;
    engine->step++;
    imc_commands_disown(engine);
    imc_commands_show(engine, "DONE", 4);
    imc_commands_line_end(engine);
}

#endif

/* News of the open mailbox, at any time after the login; what is said before that is nobody's, and what was said before
   SELECT left is of the mailbox before. */
static void imc_engine_news(imapconnect_engine *engine, int code)
{
    if (engine->state <= IMC_READY || ((engine->command->traits & IMC_SELECTS) != 0 && engine->reader.early))
        return;
    (void)code;
    if (engine->reader.saw == IMC_SAW_EXISTS)
        engine->exists = engine->reader.number;
    else if (engine->reader.saw == IMC_SAW_EXPUNGE && engine->exists != 0 && engine->exists != IMC_UNKNOWN)
        engine->exists--;
    if (engine->command->take != 0)
        engine->command->take(engine, IMC_TAKE_NEWS, 0);
}

/* A response code. */
static void imc_engine_told(imapconnect_engine *engine, int code)
{
    (void)code;
    if (engine->command->take != 0 && !engine->reader.early)
        engine->command->take(engine, IMC_TAKE_CODE, 0);
}

/* -- the table: the first row that fits counts; no row, no effect -- */

/* Small numbers stand in the table, where pointers and codes would take twice the room. */
#define IMC_ACTS(X)                              \
    X(IMC_ACT_GREETED, imc_engine_greeted)       \
    X(IMC_ACT_PREAUTH, imc_engine_preauth)       \
    X(IMC_ACT_FAIL, imc_engine_fail)             \
    X(IMC_ACT_LISTED, imc_engine_listed)         \
    X(IMC_ACT_CAPABLE, imc_engine_capable)       \
    X(IMC_ACT_SECURE, imc_engine_secure)         \
    X(IMC_ACT_CHALLENGED, imc_engine_challenged) \
    X(IMC_ACT_OFFERED, imc_engine_offered)       \
    X(IMC_ACT_ENTERED, imc_engine_entered)       \
    X(IMC_ACT_REFUSED, imc_engine_refused)       \
    X(IMC_ACT_CONTINUED, imc_engine_continued)   \
    X(IMC_ACT_ASKED, imc_engine_asked)           \
    X(IMC_ACT_ANSWERED, imc_engine_answered)     \
    X(IMC_ACT_DECLINED, imc_engine_declined)     \
    X(IMC_ACT_TOLD, imc_engine_told)             \
    X(IMC_ACT_IGNORE, imc_engine_ignore)         \
    X(IMC_ACT_NEWS, imc_engine_news)

enum imc_act {
#define IMC_ACT(name, function) name,
    IMC_ACTS(IMC_ACT)
#undef IMC_ACT
        IMC_ACT_WAITS
};

static void (*const imc_engine_acts[])(imapconnect_engine *engine, int code) = {
#define IMC_ACT(name, function) function,
    IMC_ACTS(IMC_ACT)
#undef IMC_ACT
#ifndef IMAPCONNECT_NO_IDLE
        imc_engine_waits
#endif
};

#define IMC_RULE(code) ((uint8_t)(IMC_RULE_BASE - (code)))
#define IMC_RULE_BASE  (-1200)

typedef struct imc_rule {
    uint8_t state;
    uint8_t saw; /* 0: anything */
    uint8_t act;
    uint8_t code; /* for the action: how far below IMC_RULE_BASE; 0 for none */
} imc_rule;

static const imc_rule imc_engine_rules[] = {
    {IMC_GREETING, IMC_SAW_OK, IMC_ACT_GREETED, 0},
    {IMC_GREETING, IMC_SAW_PREAUTH, IMC_ACT_PREAUTH, IMC_RULE(IMAPCONNECT_E_PREAUTH)},
    {IMC_GREETING, IMC_SAW_BYE, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_GREETING_BYE)},
    {IMC_GREETING, 0, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_GREETING)},

    {IMC_CAPABILITY, IMC_SAW_CAPABILITY, IMC_ACT_LISTED, 0},
    {IMC_CAPABILITY, IMC_SAW_TAGGED_OK, IMC_ACT_CAPABLE, IMC_RULE(IMAPCONNECT_E_CAPABILITY)},
    {IMC_CAPABILITY, IMC_SAW_TAGGED_NO, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_CAPABILITY)},
    {IMC_CAPABILITY, IMC_SAW_TAGGED_BAD, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_CAPABILITY)},
    {IMC_CAPABILITY, IMC_SAW_CONTINUATION, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_CAPABILITY)},

    {IMC_STARTTLS, IMC_SAW_TAGGED_OK, IMC_ACT_SECURE, 0},
    {IMC_STARTTLS, IMC_SAW_TAGGED_NO, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_STARTTLS)},
    {IMC_STARTTLS, IMC_SAW_TAGGED_BAD, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_STARTTLS)},
    {IMC_STARTTLS, IMC_SAW_CONTINUATION, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_STARTTLS)},

    {IMC_AUTHENTICATE, IMC_SAW_CONTINUATION, IMC_ACT_CHALLENGED, IMC_RULE(IMAPCONNECT_E_CRAM_MD5)},
    {IMC_AUTHENTICATE, IMC_SAW_CAPABILITY, IMC_ACT_OFFERED, 0},
    {IMC_AUTHENTICATE, IMC_SAW_TAGGED_OK, IMC_ACT_ENTERED, IMC_RULE(IMAPCONNECT_E_CRAM_MD5)},
    {IMC_AUTHENTICATE, IMC_SAW_TAGGED_NO, IMC_ACT_REFUSED, IMC_RULE(IMAPCONNECT_E_LOGIN_REJECTED)},
    {IMC_AUTHENTICATE, IMC_SAW_TAGGED_BAD, IMC_ACT_REFUSED, IMC_RULE(IMAPCONNECT_E_CRAM_MD5)},

    {IMC_LOGIN, IMC_SAW_CONTINUATION, IMC_ACT_CONTINUED, IMC_RULE(IMAPCONNECT_E_LOGIN)},
    {IMC_LOGIN, IMC_SAW_CAPABILITY, IMC_ACT_OFFERED, 0},
    {IMC_LOGIN, IMC_SAW_TAGGED_OK, IMC_ACT_ENTERED, IMC_RULE(IMAPCONNECT_E_LOGIN)},
    {IMC_LOGIN, IMC_SAW_TAGGED_NO, IMC_ACT_REFUSED, IMC_RULE(IMAPCONNECT_E_LOGIN_REJECTED)},
    {IMC_LOGIN, IMC_SAW_TAGGED_BAD, IMC_ACT_REFUSED, IMC_RULE(IMAPCONNECT_E_LOGIN)},

    {IMC_ASKING, IMC_SAW_CAPABILITY, IMC_ACT_LISTED, 0},
    {IMC_ASKING, IMC_SAW_TAGGED_OK, IMC_ACT_ASKED, 0},
    {IMC_ASKING, IMC_SAW_TAGGED_NO, IMC_ACT_ASKED, 0},
    {IMC_ASKING, IMC_SAW_TAGGED_BAD, IMC_ACT_ASKED, 0},

    {IMC_COMMAND, IMC_SAW_TAGGED_OK, IMC_ACT_ANSWERED, IMC_RULE(IMAPCONNECT_E_RESPONSE)},
    {IMC_COMMAND, IMC_SAW_TAGGED_NO, IMC_ACT_DECLINED, 0},
    {IMC_COMMAND, IMC_SAW_TAGGED_BAD, IMC_ACT_DECLINED, 0},
    {IMC_COMMAND, IMC_SAW_CONTINUATION, IMC_ACT_CONTINUED, IMC_RULE(IMAPCONNECT_E_RESPONSE)},
    {IMC_COMMAND, IMC_SAW_OK, IMC_ACT_TOLD, 0},

#ifndef IMAPCONNECT_NO_IDLE
    {IMC_IDLING, IMC_SAW_CONTINUATION, IMC_ACT_WAITS, 0},
    {IMC_IDLING, IMC_SAW_TAGGED_NO, IMC_ACT_DECLINED, 0},
    {IMC_IDLING, IMC_SAW_TAGGED_BAD, IMC_ACT_DECLINED, 0},
#endif

    {IMC_LOGOUT, IMC_SAW_BYE, IMC_ACT_IGNORE, 0},
    {IMC_LOGOUT, IMC_SAW_TAGGED_OK, IMC_ACT_ANSWERED, 0},
    {IMC_LOGOUT, IMC_SAW_TAGGED_NO, IMC_ACT_DECLINED, 0},
    {IMC_LOGOUT, IMC_SAW_TAGGED_BAD, IMC_ACT_DECLINED, 0},
    {IMC_LOGOUT, IMC_SAW_CONTINUATION, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_LOGOUT)},

    {IMC_ANY, IMC_SAW_EXISTS, IMC_ACT_NEWS, 0},
    {IMC_ANY, IMC_SAW_EXPUNGE, IMC_ACT_NEWS, 0},
    {IMC_ANY, IMC_SAW_RECENT, IMC_ACT_NEWS, 0},
    {IMC_ANY, IMC_SAW_FETCH, IMC_ACT_NEWS, 0},
    {IMC_ANY, IMC_SAW_BYE, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_BYE)},
    {IMC_ANY, IMC_SAW_TAGGED_OK, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_TAG)},
    {IMC_ANY, IMC_SAW_TAGGED_NO, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_TAG)},
    {IMC_ANY, IMC_SAW_TAGGED_BAD, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_TAG)},
    {IMC_ANY, IMC_SAW_FOREIGN, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_TAG)},
    {IMC_ANY, IMC_SAW_CONTINUATION, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_RESPONSE)},
    {IMC_ANY, IMC_SAW_GARBAGE, IMC_ACT_FAIL, IMC_RULE(IMAPCONNECT_E_RESPONSE)}};

/* A tagged line or a "+" that began before our line had left answers something that was never asked
   (CVE-2026-42246), and a BYE that came before LOGOUT is no answer to it. Returns the error, 0 for any other line. */
static int imc_engine_too_early(const imapconnect_engine *engine, int saw)
{
    if (!engine->reader.early)
        return 0;
    if (saw == IMC_SAW_BYE && engine->state == IMC_LOGOUT)
        return IMAPCONNECT_E_BYE;
    if (saw < IMC_SAW_CONTINUATION || saw > IMC_SAW_TAGGED_BAD)
        return 0;
    if (engine->state == IMC_AUTHENTICATE && engine->exchange != IMC_NOT_ANSWERED)
        return IMAPCONNECT_E_CRAM_MD5;
    if (engine->state == IMC_LOGIN && engine->writer.literal)
        return IMAPCONNECT_E_LOGIN;
    if (engine->state == IMC_COMMAND && engine->writer.pushed &&
        (saw == IMC_SAW_TAGGED_NO || saw == IMC_SAW_TAGGED_BAD))
        return 0; /* it need not wait for the end of a literal that was not asked for */
    return saw == IMC_SAW_CONTINUATION ? IMAPCONNECT_E_RESPONSE : IMAPCONNECT_E_TAG;
}

/* One event, one row, one action. */
static void imc_engine_dispatch(imapconnect_engine *engine, int saw)
{
    int early = imc_engine_too_early(engine, saw);
    size_t i;
    if (early != 0) {
        imc_engine_fail(engine, imc_engine_login_code(engine, early));
        return;
    }
    for (i = 0; i < sizeof imc_engine_rules / sizeof imc_engine_rules[0]; i++) {
        const imc_rule *rule = &imc_engine_rules[i];
        if ((rule->state == engine->state || rule->state == IMC_ANY) && (rule->saw == saw || rule->saw == 0)) {
            imc_engine_acts[rule->act](engine, IMC_RULE_BASE - rule->code);
            return;
        }
    }
}

/* How many of `count` bytes may still belong to this reply. */
static size_t imc_engine_limit(const imapconnect_engine *engine, size_t count)
{
    uint32_t limit = engine->state < IMC_READY ? IMC_MAX_REPLY : engine->config->max_reply;
    if (limit == 0)
        return count;
    return imc_bytes_least(count, limit > engine->reply_bytes ? limit - engine->reply_bytes : 0);
}

/* 1 while the engine takes bytes: not once the call is over, nor while TLS comes up, nor while a key is derived. */
static int imc_engine_listens(const imapconnect_engine *engine)
{
#ifdef IMC_HAS_SCRAM
    if (imc_engine_is_deriving(engine))
        return 0; /* the buffer is in use; what is there already comes too early */
#endif
    return !engine->done && engine->error == 0 && engine->state > IMC_SECURING;
}

/* A line begins: what it can be depends on what was sent before it. */
static void imc_engine_begin_line(imapconnect_engine *engine)
{
    imapconnect_reader *reader = &engine->reader;
    imc_responses_begin_line(reader);
    reader->early = !imc_commands_are_sent(&engine->writer);
    reader->wants_base64 = !reader->early && engine->state == IMC_AUTHENTICATE && engine->exchange != IMC_GIVEN_UP;
#ifndef IMAPCONNECT_NO_COMMANDS
    if (reader->early || engine->state <= IMC_READY || engine->writer.waiting || engine->writer.borrowed)
        return;
    engine->writer.borrowed = 1; /* the command has left, all of it, and its reply may use the buffer */
    memset(&engine->writer.out.in.row, 0, sizeof engine->writer.out.in.row);
#endif
}

/* Takes bytes from the server, line by line, up to where the call ends. `*at` moves behind what was taken. */
static void imc_engine_take(imapconnect_engine *engine, const char **at, const char *end)
{
    while (imc_engine_listens(engine) && *at < end) {
        const char *from = *at;
        size_t count = imc_engine_limit(engine, (size_t)(end - from));
        int saw;
        if (count == 0) {
            imc_engine_fail(engine, IMAPCONNECT_E_LIMIT);
            return;
        }
        if (imc_responses_is_new_line(&engine->reader))
            imc_engine_begin_line(engine);
        saw = imc_responses_next(engine, at, from + count);
        engine->reply_bytes += (uint32_t)(*at - from);
        if (saw == IMC_SAW_NOTHING || engine->error != 0)
            continue;
        if (engine->state < IMC_READY && ++engine->reply_lines > IMC_MAX_LINES)
            imc_engine_fail(engine, IMAPCONNECT_E_LIMIT);
        imc_engine_dispatch(engine, saw);
    }
}

/* The connect begins. */
static void imc_engine_start(imapconnect_engine *engine)
{
    engine->state = IMC_OPENING;
    engine->exists = IMC_UNKNOWN;
}

/* The connection is there. */
static void imc_engine_opened(imapconnect_engine *engine)
{
    engine->state = engine->secure == IMAPCONNECT_TLS ? IMC_SECURING : IMC_GREETING;
    engine->step++;
}

/* The connection is gone. */
static void imc_engine_closed(imapconnect_engine *engine)
{
    engine->state = IMC_CLOSED;
}

/* TLS is up. After STARTTLS nothing that was read before is left, and the capabilities are asked for anew. */
static void imc_engine_secured(imapconnect_engine *engine)
{
    imapconnect_reader *reader = &engine->reader;
    engine->encrypted = 1;
    engine->step++;
    if (engine->secure != IMAPCONNECT_STARTTLS) {
        engine->state = IMC_GREETING;
        return;
    }
    memset(reader, 0, sizeof *reader);
    engine->capabilities = 0;
    imc_stream(engine, IMAPCONNECT_RESTART, 0, 0); /* and those who listen forget it as well */
    imc_engine_advance(engine);
}

/* A new call, and what it reports to. */
static void imc_engine_call(imapconnect_engine *engine, imapconnect_list *list)
{
    engine->list = list;
    engine->heard = engine->enough = 0;
    engine->done = 0;
}

/* >>sockets ------------------------------------------------------------------------------------------ *
 * The platform's transport and clock: POSIX; Winsock's place is beside it. Invariant: nothing blocks but
 * the look-up of a name and `wait`, and each descriptor is closed once. */

#ifndef IMAPCONNECT_NO_SOCKETS

#ifdef EAI_NODATA
#define IMC_EAI_NODATA EAI_NODATA
#elif defined(__GLIBC__)
#define IMC_EAI_NODATA (-5) /* glibc returns it, and hides its name from programs that ask for POSIX alone */
#endif

#ifdef MSG_NOSIGNAL
#define IMC_SEND_FLAGS MSG_NOSIGNAL /* no SIGPIPE: a library must not end the program */
#else
#define IMC_SEND_FLAGS 0
#endif

/* CLOCK_MONOTONIC: a clock that is set meanwhile must not end a session, nor keep it for ever. */
static uint32_t imc_sockets_clock(void *user)
{
    struct timespec now;
    (void)user;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        return 0;
    return (uint32_t)now.tv_sec * 1000u + (uint32_t)(now.tv_nsec / 1000000);
}

static const struct {
    int number;
    int16_t code;
} imc_sockets_errors[] = {{ECONNREFUSED, IMAPCONNECT_E_REFUSED},  {ETIMEDOUT, IMAPCONNECT_E_TIMED_OUT},
                          {EHOSTUNREACH, IMAPCONNECT_E_NO_ROUTE}, {ENETUNREACH, IMAPCONNECT_E_NO_ROUTE},
                          {ECONNRESET, IMAPCONNECT_E_RESET},      {EPIPE, IMAPCONNECT_E_RESET},
                          {ECONNABORTED, IMAPCONNECT_E_RESET},    {ENOMEM, IMAPCONNECT_E_MEMORY},
                          {ENOBUFS, IMAPCONNECT_E_MEMORY}};

/* The system's errno into a code. Of several addresses the first one's errno is kept, as its code is. */
static int imc_sockets_error(imapconnect_sockets *sockets, int number)
{
    size_t i;
    if (sockets->error == 0)
        sockets->detail = number;
    for (i = 0; i < sizeof imc_sockets_errors / sizeof imc_sockets_errors[0]; i++)
        if (imc_sockets_errors[i].number == number)
            return imc_sockets_errors[i].code;
    return IMAPCONNECT_E_TRANSPORT;
}

/* The resolver's answer into a code. */
static int imc_sockets_lookup_error(imapconnect_sockets *sockets, int number)
{
    sockets->detail = number;
    if (number == EAI_NONAME)
        return IMAPCONNECT_E_HOST_NOT_FOUND;
    if (number == EAI_AGAIN)
        return IMAPCONNECT_E_LOOKUP_AGAIN;
    if (number == EAI_MEMORY)
        return IMAPCONNECT_E_MEMORY;
#ifdef IMC_EAI_NODATA
    if (number == IMC_EAI_NODATA)
        return IMAPCONNECT_E_NO_ADDRESS;
#endif
    return IMAPCONNECT_E_LOOKUP_FAILED;
}

/* A socket that never blocks, is closed by exec, and sends at once. */
static int imc_sockets_new(int family)
{
    int on = 1;
#if defined(SOCK_NONBLOCK) && defined(SOCK_CLOEXEC)
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#else
    int fd = socket(family, SOCK_STREAM, 0);
    if (fd >= 0 && (fcntl(fd, F_SETFL, O_NONBLOCK) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)) {
        close(fd);
        return -1;
    }
#endif
    if (fd >= 0)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* slower without, but not wrong */
#ifdef SO_NOSIGPIPE
    if (fd >= 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#endif
    return fd;
}

/* Begins to connect. Returns 1 when that was all, 0 when it is under way, or an error. */
static int imc_sockets_connect(imapconnect_sockets *sockets, const struct sockaddr *address, socklen_t size)
{
    sockets->ready = 0;
    sockets->fd = imc_sockets_new(address->sa_family);
    if (sockets->fd < 0)
        return imc_sockets_error(sockets, errno);
    if (connect(sockets->fd, address, size) == 0)
        return 1;
    return errno == EINPROGRESS || errno == EINTR ? 0 : imc_sockets_error(sockets, errno);
}

/* All addresses of a name, both families. This blocks in the resolver. */
static int imc_sockets_lookup(imapconnect_sockets *sockets, const char *host, uint16_t port)
{
    struct addrinfo hints;
    char service[8];
    int failed;
    memset(&hints, 0, sizeof hints);
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    service[imc_bytes_decimal(service, port)] = '\0';
    failed = getaddrinfo(host, service, &hints, &sockets->addresses);
    if (failed != 0) {
        sockets->addresses = 0;
        return imc_sockets_lookup_error(sockets, failed);
    }
    for (sockets->next = sockets->addresses; sockets->next != 0 && sockets->left < 255;)
        sockets->left++, sockets->next = sockets->next->ai_next;
    sockets->next = sockets->addresses;
    return 0;
}

/* The next address of the name gets what is left of the time, divided by the addresses left. */
static int imc_sockets_try(imapconnect_sockets *sockets, uint32_t milliseconds)
{
    const struct addrinfo *address = sockets->next;
    sockets->next = address->ai_next;
    sockets->until = milliseconds - milliseconds / (sockets->left != 0 ? sockets->left : 1u);
    if (sockets->left > 0)
        sockets->left--;
    return imc_sockets_connect(sockets, address->ai_addr, address->ai_addrlen);
}

/* A numeric address is only parsed, so that it never blocks; anything else is looked up. */
static int imc_sockets_begin(imapconnect_sockets *sockets, const char *host, uint16_t port)
{
    struct sockaddr_in ipv4;
    struct sockaddr_in6 ipv6;
    uint8_t address[16];
    memset(&ipv4, 0, sizeof ipv4);
    memset(&ipv6, 0, sizeof ipv6);
    if (imc_names_ipv4(host, strlen(host), address) != 0) {
        ipv4.sin_family = AF_INET;
        ipv4.sin_port = htons(port);
        memcpy(&ipv4.sin_addr, address, 4);
        return imc_sockets_connect(sockets, (const struct sockaddr *)&ipv4, sizeof ipv4);
    }
    if (imc_names_ipv6(host, strlen(host), address) != 0) {
        ipv6.sin6_family = AF_INET6;
        ipv6.sin6_port = htons(port);
        memcpy(&ipv6.sin6_addr, address, 16);
        return imc_sockets_connect(sockets, (const struct sockaddr *)&ipv6, sizeof ipv6);
    }
    return imc_sockets_lookup(sockets, host, port);
}

/* Has the connection come up? Returns as imc_sockets_connect(); its share of the time may be over. */
static int imc_sockets_check(imapconnect_sockets *sockets, uint32_t milliseconds)
{
    struct pollfd ready;
    int number = 0;
    socklen_t size = sizeof number;
    ready.fd = sockets->fd;
    ready.events = POLLOUT;
    ready.revents = 0;
    if (!sockets->ready && poll(&ready, 1, 0) <= 0)
        return milliseconds > sockets->until ? 0 : IMAPCONNECT_E_CONNECT_TIMEOUT;
    if (getsockopt(sockets->fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0)
        number = errno;
    return number == 0 ? 1 : imc_sockets_error(sockets, number);
}

/* Gives up the present address. */
static void imc_sockets_drop(imapconnect_sockets *sockets)
{
    if (sockets->fd >= 0)
        close(sockets->fd);
    sockets->fd = -1;
}

/* open: every address in turn; when all fail, the first one's error counts. */
static int imc_sockets_open(void *context, const char *host, uint16_t port, uint32_t *milliseconds)
{
    imapconnect_sockets *sockets = (imapconnect_sockets *)context;
    int state = 0;
    if (sockets->fd >= 0)
        state = imc_sockets_check(sockets, *milliseconds);
    else if (sockets->addresses == 0)
        state = imc_sockets_begin(sockets, host, port);
    for (;;) {
        if (state > 0) {
            sockets->drained = 1;
            sockets->error = 0;
            sockets->detail = 0;
            return sockets->fd;
        }
        if (state == 0 && sockets->fd >= 0) {
            *milliseconds -= sockets->until < *milliseconds ? sockets->until : *milliseconds;
            return IMAPCONNECT_WANT_WRITE;
        }
        if (state < 0 && sockets->error == 0)
            sockets->error = (int16_t)state;
        imc_sockets_drop(sockets);
        if (sockets->next == 0)
            return sockets->error;
        state = imc_sockets_try(sockets, *milliseconds);
    }
}

/* read: when the kernel gave less than it was asked for, or the answer to what was just sent cannot be there yet,
   the next call says so without asking again. That saves one system call in three. */
static int imc_sockets_read(void *context, void *bytes, size_t count)
{
    imapconnect_sockets *sockets = (imapconnect_sockets *)context;
    ssize_t got;
    if (sockets->drained) {
        sockets->drained = 0;
        return IMAPCONNECT_WANT_READ;
    }
    do
        got = recv(sockets->fd, bytes, count, 0);
    while (got < 0 && errno == EINTR);
    if (got > 0) {
        sockets->drained = (size_t)got < count;
        return (int)got;
    }
    if (got == 0)
        return IMAPCONNECT_CLOSED;
    return errno == EAGAIN || errno == EWOULDBLOCK ? IMAPCONNECT_WANT_READ : imc_sockets_error(sockets, errno);
}

/* After a write the answer cannot be there yet: the next read says so without asking. */
static int imc_sockets_write(void *context, const void *bytes, size_t count)
{
    imapconnect_sockets *sockets = (imapconnect_sockets *)context;
    ssize_t sent;
    do
        sent = send(sockets->fd, bytes, count, IMC_SEND_FLAGS);
    while (sent < 0 && errno == EINTR);
    if (sent > 0) {
        sockets->drained = 1;
        return (int)sent;
    }
    return errno == EAGAIN || errno == EWOULDBLOCK ? IMAPCONNECT_WANT_WRITE : imc_sockets_error(sockets, errno);
}

/* poll() and not select(): a descriptor above 1023 would write behind select's set. */
static int imc_sockets_wait(void *context, int what, uint32_t milliseconds)
{
    imapconnect_sockets *sockets = (imapconnect_sockets *)context;
    struct pollfd ready;
    ready.fd = sockets->fd;
    ready.events = (short)((what & IMAPCONNECT_READABLE ? POLLIN : 0) | (what & IMAPCONNECT_WRITABLE ? POLLOUT : 0));
    ready.revents = 0;
    if (poll(&ready, 1, (int)imc_bytes_least(milliseconds, 0x7fffffff)) < 0 && errno != EINTR)
        return imc_sockets_error(sockets, errno);
    sockets->ready = ready.revents != 0;
    return 0;
}

static void imc_sockets_close(void *context)
{
    imapconnect_sockets *sockets = (imapconnect_sockets *)context;
    imc_sockets_drop(sockets);
    if (sockets->addresses != 0)
        freeaddrinfo(sockets->addresses);
    sockets->addresses = sockets->next = 0;
    sockets->left = 0;
    sockets->error = 0;
}

/* Fills in what the configuration leaves to the platform, anew for each connect: the session may have moved. */
static void imc_sockets_default(imapconnect_session *session)
{
    imapconnect_transport *transport = &session->config.transport;
    if (session->config.clock == 0)
        session->config.clock = imc_sockets_clock;
    if (transport->open == 0 && transport->read == 0 && transport->write == 0 && transport->close == 0) {
        transport->open = imc_sockets_open;
        transport->read = imc_sockets_read;
        transport->write = imc_sockets_write;
        transport->wait = imc_sockets_wait;
        transport->close = imc_sockets_close;
    }
    if (transport->open == imc_sockets_open)
        transport->context = &session->sockets;
}

#else

static void imc_sockets_default(imapconnect_session *session)
{
    (void)session;
}

#endif

/* >>x509 --------------------------------------------------------------------------------------------- *
 * What a certificate says of its names and its signature, read from its DER. wolfSSL verifies the chain;
 * this looks at what it gets wrong: names by their type, addresses as bytes, and the strength of the
 * signature's hash. Invariant: no byte is read behind the certificate, and reading ends at the first
 * element that is malformed. */

#ifndef IMAPCONNECT_NO_TLS

/* -- DER: just enough of RFC 5280 section 4.1 -- */

#define IMC_DER_OCTETS    0x04
#define IMC_DER_OID       0x06
#define IMC_DER_UTC_TIME  0x17
#define IMC_DER_TIME      0x18 /* GeneralizedTime */
#define IMC_DER_SEQUENCE  0x30
#define IMC_DER_VERSION   0xa0 /* [0] of a certificate, and of the parameters of RSASSA-PSS */
#define IMC_DER_EXTENSION 0xa3 /* [3] of a certificate */
#define IMC_DER_DNS       0x82 /* dNSName of a GeneralName */
#define IMC_DER_ADDRESS   0x87 /* iPAddress */

/* Takes the next element off `rest`. Returns its tag, or 0 when there is none that is well formed. */
static int imc_der_next(imc_slice *rest, imc_slice *content)
{
    size_t length, at = 2;
    if (rest->count < 2)
        return 0;
    length = rest->bytes[1];
    if (length > 0x80 && length <= 0x84) { /* the length in so many bytes; none is longer here */
        size_t bytes = length & 0x7f;
        for (length = 0; bytes > 0 && at < rest->count; bytes--)
            length = length << 8 | rest->bytes[at++];
        if (bytes > 0)
            return 0;
    } else if (length >= 0x80) {
        return 0;
    }
    if (length > rest->count - at)
        return 0;
    content->bytes = rest->bytes + at;
    content->count = length;
    length += at;
    at = rest->bytes[0];
    rest->bytes += length;
    rest->count -= length;
    return (int)at;
}

/* Takes the next element if it has this tag; otherwise leaves `content` empty and returns 0. */
static int imc_der_take(imc_slice *rest, int tag, imc_slice *content)
{
    imc_slice before = *rest;
    if (imc_der_next(rest, content) == tag)
        return 1;
    *rest = before;
    content->count = 0;
    return 0;
}

static int imc_der_is(const imc_slice *value, const char *bytes, size_t count)
{
    return value->count == count && memcmp(value->bytes, bytes, count) == 0;
}

/* The fields of TBSCertificate that are never missing. SubjectPublicKeyInfo itself begins where the subject ends. */
enum imc_der_field {
    IMC_DER_SERIAL,
    IMC_DER_SIGNATURE,
    IMC_DER_ISSUER,
    IMC_DER_VALIDITY,
    IMC_DER_SUBJECT,
    IMC_DER_KEY,
    IMC_DER_FIELDS
};

typedef struct imc_certificate { /* of each element, what is inside */
    imc_slice algorithm;         /* the signature's AlgorithmIdentifier */
    imc_slice field[IMC_DER_FIELDS];
    imc_slice extensions;
} imc_certificate;

/* Certificate and TBSCertificate, RFC 5280 section 4.1; the fields in their order, the optional ones skipped. */
static int imc_der_certificate(const unsigned char *bytes, size_t count, imc_certificate *certificate)
{
    imc_slice rest, body, skipped;
    int field;
    rest.bytes = bytes;
    rest.count = count;
    if (!imc_der_take(&rest, IMC_DER_SEQUENCE, &body))
        return 0;
    rest = body;
    if (!imc_der_take(&rest, IMC_DER_SEQUENCE, &body) ||
        !imc_der_take(&rest, IMC_DER_SEQUENCE, &certificate->algorithm))
        return 0;
    (void)imc_der_take(&body, IMC_DER_VERSION, &skipped);
    for (field = 0; field < IMC_DER_FIELDS; field++) {
        int tag = imc_der_next(&body, &certificate->field[field]);
        if (tag == 0 || (tag != IMC_DER_SEQUENCE && field != IMC_DER_SERIAL))
            return 0;
    }
    certificate->extensions.bytes = bytes;
    certificate->extensions.count = 0;
    while (body.count > 0) {
        int tag = imc_der_next(&body, &skipped);
        if (tag == 0)
            return 0;
        if (tag == IMC_DER_EXTENSION && !imc_der_take(&skipped, IMC_DER_SEQUENCE, &certificate->extensions))
            return 0;
    }
    return 1;
}

/* The names of subjectAltName, RFC 5280 section 4.2.1.6; empty when there are none. */
static void imc_der_names(const imc_certificate *certificate, imc_slice *names)
{
    imc_slice rest = certificate->extensions, extension, value;
    names->count = 0;
    while (imc_der_take(&rest, IMC_DER_SEQUENCE, &extension)) {
        if (!imc_der_take(&extension, IMC_DER_OID, &value) || !imc_der_is(&value, "\x55\x1d\x11", 3))
            continue;
        while (extension.count > 0) { /* past `critical`, if it is there */
            int tag = imc_der_next(&extension, &value);
            if (tag == IMC_DER_OCTETS)
                (void)imc_der_take(&value, IMC_DER_SEQUENCE, names);
            if (tag == 0)
                return;
        }
        return;
    }
}

/* -- signatures: SHA-256 or better -- */

#define IMC_OID_RSA  "\x2a\x86\x48\x86\xf7\x0d\x01\x01"
#define IMC_OID_HASH "\x60\x86\x48\x01\x65\x03\x04\x02"

/* Object identifiers that differ in the last byte alone. */
static const struct {
    char oid[9];
    uint8_t count;
    uint8_t first;
    uint8_t last;
} imc_x509_signatures[] = {{IMC_OID_RSA, 8, 0x0b, 0x0d},                    /* RSA with SHA-256, -384, -512 */
                           {"\x2a\x86\x48\xce\x3d\x04\x03", 7, 0x02, 0x04}, /* ECDSA, the same */
                           {"\x2b\x65", 2, 0x70, 0x71}};                    /* Ed25519, Ed448 */

static int imc_x509_is_oid(const imc_slice *value, const char *oid, size_t count, unsigned first, unsigned last)
{
    return value->count == count + 1 && memcmp(value->bytes, oid, count) == 0 && value->bytes[count] >= first &&
           value->bytes[count] <= last;
}

/* The hash of RSASSA-PSS stands in its parameters, RFC 4055 section 3.1; none there means SHA-1. */
static int imc_x509_pss_is_strong(imc_slice *algorithm)
{
    imc_slice parameters, hash, oid;
    if (!imc_der_take(algorithm, IMC_DER_SEQUENCE, &parameters) ||
        !imc_der_take(&parameters, IMC_DER_VERSION, &hash) || !imc_der_take(&hash, IMC_DER_SEQUENCE, &parameters) ||
        !imc_der_take(&parameters, IMC_DER_OID, &oid))
        return 0;
    return imc_x509_is_oid(&oid, IMC_OID_HASH, 8, 1, 3); /* SHA-256, -384, -512 */
}

/* SHA-1 and MD5 can be made to collide: a certificate signed with one of them may be a forgery of a good one. */
static int imc_x509_signature_is_strong(const imc_certificate *certificate)
{
    imc_slice algorithm = certificate->algorithm, oid;
    size_t i;
    if (!imc_der_take(&algorithm, IMC_DER_OID, &oid))
        return 0;
    for (i = 0; i < sizeof imc_x509_signatures / sizeof imc_x509_signatures[0]; i++)
        if (imc_x509_is_oid(&oid, imc_x509_signatures[i].oid, imc_x509_signatures[i].count,
                            imc_x509_signatures[i].first, imc_x509_signatures[i].last))
            return 1;
    return imc_x509_is_oid(&oid, IMC_OID_RSA, 8, 0x0a, 0x0a) && imc_x509_pss_is_strong(&algorithm);
}

/* -- the name, RFC 9525: dNSName for names, iPAddress for addresses, nothing else, no common name -- */

/* Compares a host with a dNSName. "*" stands for the host's whole leftmost label, so that the next byte has to be the
   host's first dot, and needs two labels behind it. */
static int imc_x509_name_matches(const imc_slice *pattern, const char *host, size_t count)
{
    const char *name = (const char *)pattern->bytes;
    size_t size = pattern->count, skip = 0;
    if (size > 2 && name[0] == '*') {
        while (skip < count && host[skip] != '.')
            skip++;
        if (skip == 0 || memchr(name + 2, '.', size - 2) == 0 || name[size - 1] == '.')
            return 0;
        name++;
        size--;
    }
    if (count - skip != size)
        return 0;
    while (size-- > 0)
        if (imc_bytes_upper(name[size]) != imc_bytes_upper(host[skip + size]))
            return 0;
    return 1;
}

/* The host without the one dot that may end it; no certificate has that. */
static size_t imc_x509_host_length(const imapconnect_server *server)
{
    return server->length - (server->host[server->length - 1] == '.' ? 1u : 0u);
}

/* Does one of the names fit? Addresses are compared as bytes: as text "127.0.0.1" would match a dNSName, and ::1 no
   other way to write it. */
static int imc_x509_is_named(const imc_certificate *certificate, const imapconnect_server *server)
{
    imc_slice names, name;
    imc_der_names(certificate, &names);
    while (names.count > 0) {
        int tag = imc_der_next(&names, &name);
        if (tag == 0)
            return 0;
        if (tag == IMC_DER_ADDRESS && server->address_length != 0 &&
            imc_der_is(&name, (const char *)server->address, server->address_length))
            return 1;
        if (tag == IMC_DER_DNS && server->address_length == 0 &&
            imc_x509_name_matches(&name, server->host, imc_x509_host_length(server)))
            return 1;
    }
    return 0;
}

/* -- the last day -- */

#ifndef IMAPCONNECT_NO_TLS_OPTIONS

static unsigned imc_x509_two_digits(const unsigned char *text)
{
    return (unsigned)(text[0] - '0') * 10u + (unsigned)(text[1] - '0');
}

/* The last whole day on which it is valid, counted from 1970; 0 when it does not say. UTCTime and GeneralizedTime, RFC
   5280 section 4.1.2.5. wolfSSL has read them before. */
static size_t imc_x509_last_day(const imc_certificate *certificate)
{
    imc_slice rest = certificate->field[IMC_DER_VALIDITY], time = {0, 0};
    int tag = imc_der_next(&rest, &time) != 0 ? imc_der_next(&rest, &time) : 0;
    const unsigned char *digits = time.bytes;
    unsigned year, month, days;
    if ((tag != IMC_DER_UTC_TIME || time.count < 6) && (tag != IMC_DER_TIME || time.count < 8))
        return 0;
    year = imc_x509_two_digits(digits);
    if (tag == IMC_DER_TIME)
        year = year * 100u + imc_x509_two_digits(digits += 2);
    else
        year += year < 50 ? 2000u : 1900u;
    month = imc_x509_two_digits(digits + 2) + 9u; /* from March on, so that the leap day is the last of its year */
    year -= month < 12u;
    days = year * 365u + year / 4u - year / 100u + year / 400u + (month % 12u * 153u + 2u) / 5u;
    return days + imc_x509_two_digits(digits + 4) - 719469u - 1u;
}

#endif
#endif

/* >>wolfssl ------------------------------------------------------------------------------------------ *
 * TLS as a transport over a transport; no other room knows wolfSSL. Invariant: all policy is set on the
 * WOLFSSL object, where a shared context cannot weaken it, and what was agreed is checked again after the
 * handshake. */

#ifndef IMAPCONNECT_NO_TLS

/* AEAD with ephemeral keys and nothing else. wolfSSL's own default list offers anonymous Diffie-Hellman and NULL
   where it was built with HAVE_ANON: with those a server without a certificate is accepted. */
#define IMC_TLS_SUITES(X)                       \
    X(0x1301, "TLS13-AES128-GCM-SHA256")        \
    X(0x1302, "TLS13-AES256-GCM-SHA384")        \
    X(0x1303, "TLS13-CHACHA20-POLY1305-SHA256") \
    X(0xc02b, "ECDHE-ECDSA-AES128-GCM-SHA256")  \
    X(0xc02f, "ECDHE-RSA-AES128-GCM-SHA256")    \
    X(0xc02c, "ECDHE-ECDSA-AES256-GCM-SHA384")  \
    X(0xc030, "ECDHE-RSA-AES256-GCM-SHA384")    \
    X(0xcca9, "ECDHE-ECDSA-CHACHA20-POLY1305")  \
    X(0xcca8, "ECDHE-RSA-CHACHA20-POLY1305")

#ifdef WOLFSSL_NO_TLS12
#define IMC_TLS_MIN_VERSION WOLFSSL_TLSV1_3
#else
#define IMC_TLS_MIN_VERSION WOLFSSL_TLSV1_2
#endif
#define IMC_TLS_MIN_RSA 2048 /* bits */
#define IMC_TLS_MIN_ECC 256

static const char imc_tls_suites[] =
#define IMC_TLS_SUITE(number, name) ":" name
    IMC_TLS_SUITES(IMC_TLS_SUITE)
#undef IMC_TLS_SUITE
    ;

/* What was negotiated is looked up by its number, not by its name. */
static int imc_tls_allows_suite(int suite)
{
    switch (suite) {
#define IMC_TLS_SUITE(number, name) case number:
        IMC_TLS_SUITES(IMC_TLS_SUITE)
#undef IMC_TLS_SUITE
        return 1;
    default:
        return 0;
    }
}

/* What wolfSSL says, in our numbers. Every other failure is IMAPCONNECT_E_TLS. */
static const struct {
    int16_t theirs;
    int16_t ours;
} imc_tls_errors[] = {{13, IMAPCONNECT_E_NOT_YET_VALID}, /* X509_V_ERR_..., with OPENSSL_COMPATIBLE_DEFAULTS */
                      {14, IMAPCONNECT_E_EXPIRED},
                      {ASN_AFTER_DATE_E, IMAPCONNECT_E_EXPIRED},
                      {ASN_BEFORE_DATE_E, IMAPCONNECT_E_NOT_YET_VALID},
                      {ASN_NO_SIGNER_E, IMAPCONNECT_E_UNTRUSTED},
                      {ASN_SELF_SIGNED_E, IMAPCONNECT_E_UNTRUSTED},
                      {ASN_SIG_CONFIRM_E, IMAPCONNECT_E_UNTRUSTED},
                      {NO_PEER_CERT, IMAPCONNECT_E_NO_CERTIFICATE},
                      {RSA_KEY_SIZE_E, IMAPCONNECT_E_WEAK},
                      {ECC_KEY_SIZE_E, IMAPCONNECT_E_WEAK},
                      {VERSION_ERROR, IMAPCONNECT_E_WEAK},
                      {MATCH_SUITE_ERROR, IMAPCONNECT_E_WEAK},
                      {MEMORY_E, IMAPCONNECT_E_MEMORY},
                      {MEMORY_ERROR, IMAPCONNECT_E_MEMORY}};

/* IMAPCONNECT_E_TLS for what is not in the table. */
static int imc_tls_number(int theirs)
{
    size_t i;
    for (i = 0; i < sizeof imc_tls_errors / sizeof imc_tls_errors[0]; i++)
        if (imc_tls_errors[i].theirs == theirs)
            return imc_tls_errors[i].ours;
    return IMAPCONNECT_E_TLS;
}

/* -- config.tls: pins, and how long a ticket is good -- */

#ifndef IMAPCONNECT_NO_TLS_OPTIONS

#ifdef NO_ASN_TIME

/* A wolfSSL without a clock looks at no date. */
static uint16_t imc_tls_today(void)
{
    return 0;
}

#else

/* Days since 1970, by the clock that wolfSSL compares certificates with. */
static uint16_t imc_tls_today(void)
{
    time_t now = 0;
    (void)wc_GetTime(&now, (word32)sizeof now);
    return (uint16_t)(now / 86400);
}

#endif

/* A session that is resumed shows no certificate, so its dates are asked for now: RFC 8446 section 4.6.1 wants an end to
   what tickets can prolong. */
static uint16_t imc_tls_last_day(const imapconnect_tls *tls, const WOLFSSL_X509_STORE_CTX *store)
{
    size_t last = (size_t)imc_tls_today() + 1;
    int depth;
    for (depth = 0; tls->verify && depth < store->totalCerts; depth++) {
        imc_certificate certificate;
        if (!imc_der_certificate(store->certs[depth].buffer, store->certs[depth].length, &certificate))
            return 0;
        last = imc_bytes_least(last, imc_x509_last_day(&certificate));
    }
    return (uint16_t)last;
}

/* RFC 7469 section 2.4. That the server has the key to what it shows is wolfSSL's to prove, with and without
   verification. */
static int imc_tls_is_pinned(const imapconnect_tls_options *options, const WOLFSSL_BUFFER_INFO *leaf)
{
    imc_certificate certificate;
    const imc_slice *subject = &certificate.field[IMC_DER_SUBJECT], *key = &certificate.field[IMC_DER_KEY];
    const unsigned char *info;
    byte digest[IMAPCONNECT_PIN_SIZE];
    size_t i;
    if (!imc_der_certificate(leaf->buffer, leaf->length, &certificate))
        return 0;
    info = subject->bytes + subject->count;
    if (wc_Sha256Hash(info, (word32)(key->bytes + key->count - info), digest) != 0)
        return 0;
    for (i = 0; i < options->pin_count; i++)
        if (memcmp(options->pins + i * sizeof digest, digest, sizeof digest) == 0)
            return 1;
    return 0;
}

/* The leaf, once all else is right with it. Returns 0 or why not. */
static int imc_tls_check_options(imapconnect_tls *tls, WOLFSSL_X509_STORE_CTX *store)
{
    const imapconnect_tls_options *options = tls->config->tls;
    if (options == 0)
        return 0;
    if (store->certs == 0 || store->totalCerts < 1)
        return IMAPCONNECT_E_NO_CERTIFICATE;
    tls->until = imc_tls_last_day(tls, store);
    store->discardSessionCerts = 1; /* a ticket is smaller without */
    return options->pin_count == 0 || imc_tls_is_pinned(options, store->certs) ? 0 : IMAPCONNECT_E_PIN;
}

#else

static int imc_tls_check_options(imapconnect_tls *tls, WOLFSSL_X509_STORE_CTX *store)
{
    (void)tls;
    (void)store;
    return 0;
}

#endif

/* -- the verify callback -- */

/* Whether a certificate is signed with its own key. The name alone does not say it: one that is self-issued (RFC 5280
   section 3.2) may be signed by another key of that name. */
static int imc_tls_is_root(const WOLFSSL_BUFFER_INFO *der)
{
    WOLFSSL_CERT_MANAGER *alone = wolfSSL_CertManagerNew();
    int root = alone != 0 &&
               wolfSSL_CertManagerLoadCABuffer(alone, der->buffer, (long)der->length, WOLFSSL_FILETYPE_ASN1) ==
                   WOLFSSL_SUCCESS &&
               wolfSSL_CertManagerVerifyBuffer(alone, der->buffer, (long)der->length, WOLFSSL_FILETYPE_ASN1) ==
                   WOLFSSL_SUCCESS;
    if (alone != 0)
        wolfSSL_CertManagerFree(alone);
    return root;
}

/* wolfSSL with WOLFSSL_TRUST_PEER_CERT, which is Debian's, makes a "trusted peer" of each CA that is loaded, and takes a
   leaf with the subject, the key identifier and the signature of one, all of them public, for it: with any key, any name
   and any date, and without a look at the signature. So the leaf is verified a second time, against the CAs alone. */
static int imc_tls_check_trust(const imapconnect_tls *tls, const WOLFSSL_BUFFER_INFO *leaf)
{
#ifdef WOLFSSL_TRUST_PEER_CERT
    int error = wolfSSL_CertManagerVerifyBuffer(wolfSSL_CTX_GetCertManager(tls->context), leaf->buffer,
                                                (long)leaf->length, WOLFSSL_FILETYPE_ASN1);
    return error == WOLFSSL_SUCCESS ? 0 : imc_tls_number(error);
#else
    (void)tls;
    (void)leaf;
    return 0;
#endif
}

/* One certificate of the chain; 0 is the leaf. A root that was sent along may be as old as it likes: its signature
   proves nothing, being in the folder of CAs does. */
static IMC_APART int imc_tls_check(const imapconnect_tls *tls, const WOLFSSL_X509_STORE_CTX *store, int depth)
{
    imc_certificate certificate;
    const WOLFSSL_BUFFER_INFO *der = &store->certs[depth];
    if (!imc_der_certificate(der->buffer, der->length, &certificate))
        return IMAPCONNECT_E_TLS;
    if (!imc_x509_signature_is_strong(&certificate) && (depth == 0 || !imc_tls_is_root(der)))
        return IMAPCONNECT_E_WEAK;
    return depth == 0 && !imc_x509_is_named(&certificate, tls->server) ? IMAPCONNECT_E_NAME : 0;
}

/* wolfSSL calls this for each certificate, or for the leaf alone: there all are looked at. With verification on it
   never turns a refusal into an acceptance. */
static int imc_tls_verify(int trusted, WOLFSSL_X509_STORE_CTX *store)
{
    imapconnect_tls *tls = (imapconnect_tls *)store->userCtx;
    int depth = store->error_depth;
    int last = depth == 0 ? store->totalCerts - 1 : depth;
    if (tls == 0 || tls->self != tls)
        return 0; /* wolfSSL 5.5 hands over its WOLFSSL_CERT_MANAGER when that has a verify callback, too */
    if (depth == 0)
        tls->leaf_seen = 1;
    if (tls->verify) {
        if (!trusted && tls->chain_error == 0)
            tls->chain_error = (int16_t)store->error;
        if (!trusted || tls->server == 0 || store->certs == 0 || depth < 0 || depth >= store->totalCerts)
            return 0;
        if (depth == 0 && tls->refused == 0)
            tls->refused = (int16_t)imc_tls_check_trust(tls, &store->certs[0]);
        for (; depth <= last && tls->refused == 0; depth++)
            tls->refused = (int16_t)imc_tls_check(tls, store, depth);
    }
    if (store->error_depth == 0 && tls->refused == 0)
        tls->refused = (int16_t)imc_tls_check_options(tls, store);
    return tls->refused == 0;
}

/* -- the transport below, as wolfSSL sees it -- */

/* A number of bytes, or the code that wolfSSL understands; never 0, which it would take for "try again" for ever. */
static int imc_tls_from_below(imapconnect_tls *tls, int moved, int asked)
{
    if (moved > 0)
        return moved < asked ? moved : asked;        /* one that claims more than it was asked for is not believed */
    if (!imapconnect_code_is_fatal(tls->lower_code)) /* after a failed read wolfSSL may still try to send an alert */
        tls->lower_code = (int16_t)imc_codes_of_transport(moved);
    if (imc_codes_is_want(moved))
        return WOLFSSL_CBIO_ERR_WANT_READ; /* the same number as for write */
    return moved == IMAPCONNECT_CLOSED ? WOLFSSL_CBIO_ERR_CONN_CLOSE : WOLFSSL_CBIO_ERR_GENERAL;
}

/* A TLS 1.2 server can send HelloRequest, a 1.3 server tickets and key updates, without end and without a byte of
   data: wolfSSL would read on for ever. */
static int imc_tls_receive(WOLFSSL *ssl, char *bytes, int count, void *context)
{
    imapconnect_tls *tls = (imapconnect_tls *)context;
    int moved;
    (void)ssl;
    if (tls->silence > IMC_TLS_MAX_SILENT) {
        tls->lower_code = IMAPCONNECT_E_LIMIT;
        return WOLFSSL_CBIO_ERR_GENERAL;
    }
    if (tls->dry)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    moved = imc_tls_from_below(tls, tls->lower->read(tls->lower->context, bytes, (size_t)count), count);
    tls->dry = moved == WOLFSSL_CBIO_ERR_WANT_READ; /* with its AUTO_RETRY wolfSSL would ask ten times */
    tls->silence += moved > 0 ? (uint32_t)moved : 0;
    return moved;
}

static int imc_tls_send(WOLFSSL *ssl, char *bytes, int count, void *context)
{
    imapconnect_tls *tls = (imapconnect_tls *)context;
    int moved = imc_tls_from_below(tls, tls->lower->write(tls->lower->context, bytes, (size_t)count), count);
    (void)ssl;
    tls->unsent = moved == WOLFSSL_CBIO_ERR_WANT_READ;
    return moved;
}

/* Before each call to wolfSSL that may read or write. */
static void imc_tls_begin(imapconnect_tls *tls)
{
    tls->dry = 0;
    tls->lower_code = 0;
}

/* The code of a call to wolfSSL that did not succeed: what the verify callback found, then what wolfSSL says, then what
   the transport below had to say, since wolfSSL reports that in another way in each version. */
static int imc_tls_code(imapconnect_tls *tls, int returned)
{
    int error = wolfSSL_get_error(tls->ssl, returned);
    int code;
    if (error == WOLFSSL_ERROR_WANT_READ || error == WOLFSSL_ERROR_WANT_WRITE)
        return tls->lower_code == IMAPCONNECT_WANT_WRITE ? IMAPCONNECT_WANT_WRITE : IMAPCONNECT_WANT_READ;
    tls->detail = (int16_t)error;
    if (error == WOLFSSL_ERROR_ZERO_RETURN)
        return IMAPCONNECT_CLOSED;
    if (tls->refused != 0)
        return tls->refused;
    if (error == ASN_NO_SIGNER_E && imc_tls_number(tls->chain_error) != IMAPCONNECT_E_TLS)
        error = tls->chain_error; /* the reason why an issuer was not taken, and the leaf had none */
    code = imc_tls_number(error);
    if (code != IMAPCONNECT_E_TLS || tls->lower_code == 0)
        return code;
    if (error == 0 || imapconnect_code_is_fatal(tls->lower_code))
        return tls->lower_code; /* 0: wolfSSL 5.5 forgot that its second try to send would have blocked */
    return code;
}

/* -- CA certificates -- */

/* Why a CA was not taken, as wolfSSL has it. To a clock that was never set each is not valid yet. */
static int imc_tls_refused_ca(imapconnect_tls *tls, int error)
{
    int code = imc_tls_number(error);
    tls->detail = (int16_t)error;
    return code == IMAPCONNECT_E_NOT_YET_VALID || code == IMAPCONNECT_E_EXPIRED ? code : IMAPCONNECT_E_CA_FILE;
}

#if !defined(NO_FILESYSTEM) && !defined(NO_WOLFSSL_DIR)

/* A file or a folder; returns 0 when at least one CA was loaded. Files of a folder are loaded one by one: given the
   folder, wolfSSL fails when one of them is a README. */
static int imc_tls_load_path(imapconnect_tls *tls, const char *path)
{
    ReadDirCtx folder;
    char *name = 0;
    unsigned loaded = 0;
    int state = wc_ReadDirFirst(&folder, path, &name);
    if (name == 0 && state != 0 && state != WC_READDIR_NOFILE) {
        int opened;
        errno = 0;
        opened = wolfSSL_CTX_load_verify_locations_ex(tls->context, path, 0, WOLFSSL_LOAD_FLAG_NONE);
        if (opened == WOLFSSL_SUCCESS)
            return 0;
        return errno == ENOENT || errno == ENOTDIR ? IMAPCONNECT_E_NO_CA : imc_tls_refused_ca(tls, opened);
    }
    for (; state == 0 && name != 0; state = wc_ReadDirNext(&folder, path, &name)) {
        if (wolfSSL_CTX_load_verify_locations_ex(tls->context, name, 0, WOLFSSL_LOAD_FLAG_NONE) == WOLFSSL_SUCCESS)
            loaded++;
        else
            tls->skipped++;
    }
    wc_ReadDirClose(&folder);
    return loaded > 0 ? 0 : IMAPCONNECT_E_NO_CA;
}

#else

static int imc_tls_load_path(imapconnect_tls *tls, const char *path)
{
    (void)tls;
    (void)path;
    return IMAPCONNECT_E_CA_FILE; /* this wolfSSL reads no files: set ca_data */
}

#endif

/* Where the certificates of the system are is wolfSSL's business. */
static int imc_tls_load_system(imapconnect_tls *tls)
{
#ifdef WOLFSSL_SYS_CA_CERTS
    if (wolfSSL_CTX_load_system_CA_certs(tls->context) == WOLFSSL_SUCCESS)
        return 0;
#endif
    (void)tls;
    return IMAPCONNECT_E_NO_CA;
}

/* The first of buffer, path and system that is configured. */
static int imc_tls_load_cas(imapconnect_tls *tls, const imapconnect_config *config)
{
    int loaded, format = config->ca_format == IMAPCONNECT_DER ? WOLFSSL_FILETYPE_ASN1 : WOLFSSL_FILETYPE_PEM;
    if (config->ca_data == 0)
        return config->ca_path != 0 ? imc_tls_load_path(tls, config->ca_path) : imc_tls_load_system(tls);
    loaded = wolfSSL_CTX_load_verify_buffer(tls->context, (const unsigned char *)config->ca_data,
                                            (long)config->ca_size, format);
    return loaded == WOLFSSL_SUCCESS ? 0 : imc_tls_refused_ca(tls, loaded);
}

/* A CA is not a trusted peer, see imc_tls_check_trust(). */
static int imc_tls_load(imapconnect_tls *tls, const imapconnect_config *config)
{
    int code = imc_tls_load_cas(tls, config);
#ifdef WOLFSSL_TRUST_PEER_CERT
    if (wolfSSL_CTX_Unload_trust_peers(tls->context) != WOLFSSL_SUCCESS)
        return IMAPCONNECT_E_TLS;
#endif
    return code;
}

/* -- the life of a connection -- */

static int imc_tls_mode(int verify)
{
    return verify ? WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT : WOLFSSL_VERIFY_NONE;
}

/* The caller's context, or one with his CAs. */
static int imc_tls_choose_context(imapconnect_tls *tls, const imapconnect_config *config)
{
    tls->context = config->wolfssl_ctx;
    if (tls->context != 0)
        return 0;
    tls->context = wolfSSL_CTX_new(wolfSSLv23_client_method());
    if (tls->context == 0)
        return IMAPCONNECT_E_MEMORY;
    tls->own_context = 1;
    wolfSSL_CTX_set_verify(tls->context, imc_tls_mode(tls->verify),
                           0); /* without VERIFY_PEER expired CAs would be loaded, too */
    return tls->verify ? imc_tls_load(tls, config) : 0;
}

/* Every policy on the object, each checked. */
static int imc_tls_set_policy(imapconnect_tls *tls)
{
    wolfSSL_set_verify(tls->ssl, imc_tls_mode(tls->verify), imc_tls_verify);
    wolfSSL_SetCertCbCtx(tls->ssl, tls);
    wolfSSL_SSLSetIORecv(tls->ssl, imc_tls_receive);
    wolfSSL_SSLSetIOSend(tls->ssl, imc_tls_send);
    wolfSSL_SetIOReadCtx(tls->ssl, tls);
    wolfSSL_SetIOWriteCtx(tls->ssl, tls);
    if (wolfSSL_SetMinVersion(tls->ssl, IMC_TLS_MIN_VERSION) != WOLFSSL_SUCCESS ||
        wolfSSL_set_cipher_list(tls->ssl, imc_tls_suites + 1) != WOLFSSL_SUCCESS)
        return 0;
#ifndef NO_RSA
    if (wolfSSL_SetMinRsaKey_Sz(tls->ssl, IMC_TLS_MIN_RSA) != WOLFSSL_SUCCESS)
        return 0;
#endif
#ifdef HAVE_ECC
    if (wolfSSL_SetMinEccKey_Sz(tls->ssl, IMC_TLS_MIN_ECC) != WOLFSSL_SUCCESS)
        return 0;
#endif
#ifdef HAVE_SNI
    if (tls->server->address_length == 0 &&
        wolfSSL_UseSNI(tls->ssl, WOLFSSL_SNI_HOST_NAME, tls->server->host,
                       (word16)imc_x509_host_length(tls->server)) != WOLFSSL_SUCCESS)
        return 0; /* RFC 6066 section 3: names alone, and without the dot */
#endif
    return 1;
}

/* -- config.tls: our certificate and key -- */

#ifndef IMAPCONNECT_NO_TLS_OPTIONS

#ifdef NO_FILESYSTEM

static int imc_tls_own_files(WOLFSSL *ssl, const imapconnect_tls_options *options, int format)
{
    (void)ssl;
    (void)options;
    (void)format;
    return 0; /* this wolfSSL reads no files: set cert_data and key_data */
}

#else

static int imc_tls_own_files(WOLFSSL *ssl, const imapconnect_tls_options *options, int format)
{
    return wolfSSL_use_certificate_chain_file_format(ssl, options->cert_path, format) == WOLFSSL_SUCCESS &&
           wolfSSL_use_PrivateKey_file(ssl, options->key_path, format) == WOLFSSL_SUCCESS;
}

#endif

static int imc_tls_own_buffers(WOLFSSL *ssl, const imapconnect_tls_options *options, int format)
{
    return wolfSSL_use_certificate_chain_buffer_format(ssl, (const unsigned char *)options->cert_data,
                                                       (long)options->cert_size, format) == WOLFSSL_SUCCESS &&
           wolfSSL_use_PrivateKey_buffer(ssl, (const unsigned char *)options->key_data, (long)options->key_size,
                                         format) == WOLFSSL_SUCCESS;
}

#ifdef WOLFSSL_NO_CLIENT_AUTH

static int imc_tls_own_match(const WOLFSSL *ssl)
{
    (void)ssl;
    return 0; /* this wolfSSL would not show it */
}

#elif defined(OPENSSL_EXTRA) && !defined(NO_CHECK_PRIVATE_KEY)

static int imc_tls_own_match(const WOLFSSL *ssl)
{
    return wolfSSL_check_private_key(ssl) == WOLFSSL_SUCCESS;
}

#else

static int imc_tls_own_match(const WOLFSSL *ssl)
{
    (void)ssl;
    return 1; /* the server will see */
}

#endif

/* On the WOLFSSL object: a shared context may have sessions of other people. */
static int imc_tls_set_own(WOLFSSL *ssl, const imapconnect_tls_options *options)
{
    int format = options->format == IMAPCONNECT_DER ? WOLFSSL_FILETYPE_ASN1 : WOLFSSL_FILETYPE_PEM;
    int loaded;
    if (options->cert_data == 0 && options->key_data == 0 && options->cert_path == 0 && options->key_path == 0)
        return 0;
    loaded =
        options->cert_data != 0 ? imc_tls_own_buffers(ssl, options, format) : imc_tls_own_files(ssl, options, format);
    return loaded && imc_tls_own_match(ssl) ? 0 : IMAPCONNECT_E_OWN_CERTIFICATE;
}

#endif

/* -- config.tls: tickets --

   A ticket is the session as wolfSSL writes it, in an envelope: format, last day, what it is bound to, the session, and
   SHA-256 of all that. wolfSSL 5.5 copies what its lengths say, so that a changed byte must not get so far. With TLS 1.2
   sessions are resumed by their number (RFC 5246 section 7.3) and not by tickets of the server's (RFC 5077): those give
   away what was said to whoever gets the server's key for them, and wolfSSL fails when the server does not take one. */

#ifdef IMC_HAS_TICKETS

#define IMC_TICKET_FORMAT  1
#define IMC_TICKET_BINDING 16                       /* bytes of a SHA-256 */
#define IMC_TICKET_HEAD    (3 + IMC_TICKET_BINDING) /* format, last day */
#define IMC_TICKET_SECONDS 86400u                   /* of a session of TLS 1.2; with 1.3 the server says */
#define IMC_TICKET_OFFERED 1                        /* bits of tls->ticket: the server may take it ... */
#define IMC_TICKET_CAME    2                        /* ... and it has sent a new one */

/* What shapes a session that is written down: another build must not read it. */
static const byte imc_tls_build[] = {
#ifdef SESSION_CERTS
    1,
#endif
#ifdef WOLFSSL_TLS13
    2,
#endif
#ifdef NO_CLIENT_CACHE
    3,
#endif
#ifdef OPENSSL_EXTRA
    4,
#endif
#ifdef OPENSSL_EXTRA_X509_SMALL
    5,
#endif
#ifdef WOLFSSL_32BIT_MILLI_TIME
    6,
#endif
#ifdef WOLFSSL_EARLY_DATA
    7,
#endif
#ifdef NO_RESUME_SUITE_CHECK
    8,
#endif
    LIBWOLFSSL_VERSION_HEX >> 24,
    LIBWOLFSSL_VERSION_HEX >> 16 & 0xff,
    LIBWOLFSSL_VERSION_HEX >> 8 & 0xff,
    LIBWOLFSSL_VERSION_HEX & 0xff};

/* A part of it behind its length, so that two lists of parts never look alike. Returns 0. */
static int imc_tls_bind_to(wc_Sha256 *hash, const void *bytes, size_t count)
{
    word32 size = (word32)(bytes != 0 ? count : 0);
    return wc_Sha256Update(hash, (const byte *)&size, (word32)sizeof size) != 0 ||
           (size != 0 && wc_Sha256Update(hash, (const byte *)bytes, size) != 0);
}

/* The same for a buffer, or where there is none, for the name of a file. */
static int imc_tls_bind_to_source(wc_Sha256 *hash, const void *data, size_t size, const char *path)
{
    return data != 0 ? imc_tls_bind_to(hash, data, size) : imc_tls_bind_to(hash, path, path != 0 ? strlen(path) : 0);
}

/* A name in capitals, since case does not count and a dot at the end neither; an address as its bytes. */
static int imc_tls_bind_to_host(wc_Sha256 *hash, const imapconnect_server *server)
{
    size_t i, count = imc_x509_host_length(server);
    int failed = imc_tls_bind_to(hash, server->address, server->address_length);
    for (i = 0; i < count && server->address_length == 0 && !failed; i++) {
        byte letter = (byte)imc_bytes_upper(server->host[i]);
        failed = imc_tls_bind_to(hash, &letter, 1);
    }
    return failed;
}

/* What a ticket is bound to: with any of it changed it might lead past a check. Returns 0. */
static int imc_tls_bind(const imapconnect_tls *tls, uint8_t *binding)
{
    const imapconnect_config *config = tls->config;
    const imapconnect_tls_options *options = config->tls;
    byte how[5], digest[WC_SHA256_DIGEST_SIZE];
    wc_Sha256 hash;
    int failed;
    if (wc_InitSha256(&hash) != 0)
        return 1;
    how[0] = tls->secure;
    how[1] = tls->verify;
    how[2] = (byte)(tls->server->port >> 8);
    how[3] = (byte)tls->server->port;
    how[4] = config->wolfssl_ctx != 0; /* what that trusts nobody can say */
    failed = imc_tls_bind_to(&hash, imc_tls_build, sizeof imc_tls_build) || imc_tls_bind_to(&hash, how, sizeof how) ||
             imc_tls_bind_to_host(&hash, tls->server) ||
             imc_tls_bind_to(&hash, options->pins, options->pin_count * IMAPCONNECT_PIN_SIZE) ||
             imc_tls_bind_to_source(&hash, options->cert_data, options->cert_size, options->cert_path) ||
             imc_tls_bind_to_source(&hash, config->ca_data, config->ca_size, config->ca_path) ||
             wc_Sha256Final(&hash, digest) != 0;
    wc_Sha256Free(&hash);
    if (!failed)
        memcpy(binding, digest, IMC_TICKET_BINDING);
    return failed;
}

/* Is it whole, and was it made for this? */
static int imc_tls_is_ours(const byte *ticket, size_t size, const uint8_t *binding)
{
    byte digest[WC_SHA256_DIGEST_SIZE];
    size_t sealed = size - sizeof digest;
    return size > IMC_TICKET_HEAD + sizeof digest && size <= 0x7fffffff && ticket[0] == IMC_TICKET_FORMAT &&
           memcmp(ticket + 3, binding, IMC_TICKET_BINDING) == 0 &&
           wc_Sha256Hash(ticket, (word32)sealed, digest) == 0 && memcmp(ticket + sealed, digest, sizeof digest) == 0;
}

/* wolfSSL says that the server has sent one. */
static int imc_tls_on_ticket(WOLFSSL *ssl, const unsigned char *bytes, int count, void *context)
{
    imapconnect_tls *tls = (imapconnect_tls *)context;
    (void)ssl;
    (void)bytes;
    (void)count;
    tls->ticket |= IMC_TICKET_CAME;
    return 0;
}

/* The session of a ticket that is ours. One that wolfSSL finds too old is not used, and that is no error. */
static int imc_tls_offer(imapconnect_tls *tls, const byte *ticket, size_t size)
{
    const byte *next = ticket + IMC_TICKET_HEAD;
    const byte *end = ticket + size - WC_SHA256_DIGEST_SIZE;
    WOLFSSL_SESSION *session = wolfSSL_d2i_SSL_SESSION(0, &next, (long)(end - next));
    if (session == 0)
        return IMAPCONNECT_E_TICKET;
    if (next == end && wolfSSL_set_session(tls->ssl, session) == WOLFSSL_SUCCESS)
        tls->ticket |= IMC_TICKET_OFFERED;
    wolfSSL_SESSION_free(session);
    return 0;
}

static int imc_tls_wants_ticket(const imapconnect_tls *tls)
{
    const imapconnect_tls_options *options = tls->config->tls;
    return options != 0 && (options->resume || options->ticket != 0);
}

static int imc_tls_set_ticket(imapconnect_tls *tls)
{
    const imapconnect_tls_options *options = tls->config->tls;
    const byte *ticket = (const byte *)options->ticket;
    uint8_t binding[IMC_TICKET_BINDING];
    if (!imc_tls_wants_ticket(tls))
        return 0;
    if (wolfSSL_set_SessionTicket_cb(tls->ssl, imc_tls_on_ticket, tls) != WOLFSSL_SUCCESS ||
        wolfSSL_set_timeout(tls->ssl, IMC_TICKET_SECONDS) != WOLFSSL_SUCCESS)
        return IMAPCONNECT_E_TLS;
    if (ticket == 0)
        return 0;
    if (imc_tls_bind(tls, binding) != 0 || !imc_tls_is_ours(ticket, options->ticket_size, binding))
        return IMAPCONNECT_E_TICKET;
    tls->until = (uint16_t)(ticket[1] << 8 | ticket[2]);
    /* Today or tomorrow; one from later than that is from before the clock was set back. */
    return (uint16_t)(tls->until - imc_tls_today()) > 1 ? 0 : imc_tls_offer(tls, ticket, options->ticket_size);
}

/* The certificate was verified when the ticket was made, or was not, as now: that is part of what it is bound to. */
static int imc_tls_is_resumed(const imapconnect_tls *tls)
{
    return (tls->ticket & IMC_TICKET_OFFERED) != 0 && wolfSSL_session_reused(tls->ssl);
}

/* A handshake that fails before there is a certificate, for no reason that can be told: wolfSSL cannot go from a session
   of one version to the other, say. */
static int imc_tls_without_ticket(const imapconnect_tls *tls, int code)
{
    int perhaps = (tls->ticket & IMC_TICKET_OFFERED) != 0 && !tls->leaf_seen;
    return perhaps && (code == IMAPCONNECT_E_TLS || tls->detail == VERSION_ERROR) ? IMAPCONNECT_E_TICKET : code;
}

/* What a ticket of this session will be bound to, while the server's text is there. */
static int imc_tls_keep_binding(const imapconnect_tls *tls)
{
    return imc_tls_wants_ticket(tls) && imc_tls_bind(tls, tls->server->address) != 0 ? IMAPCONNECT_E_TLS : 0;
}

#ifdef OPENSSL_EXTRA

static int imc_tls_is_numbered(const WOLFSSL_SESSION *session)
{
    return wolfSSL_SESSION_is_resumable(session);
}

#else

static int imc_tls_is_numbered(const WOLFSSL_SESSION *session)
{
    (void)session;
    return 1; /* one without a number is offered in vain */
}

#endif

/* A session of TLS 1.3 has a new secret, which does not fit to an old ticket. */
static size_t imc_tls_ticket(const imapconnect_tls *tls, const uint8_t *binding, unsigned char *out, size_t size)
{
    int came =
        imc_tls_wants_ticket(tls) && ((tls->ticket & IMC_TICKET_CAME) != 0 || wolfSSL_version(tls->ssl) == 0x0303);
    WOLFSSL_SESSION *session = came ? wolfSSL_get1_session(tls->ssl) : 0;
    int count = session != 0 && imc_tls_is_numbered(session) ? wolfSSL_i2d_SSL_SESSION(session, 0) : 0;
    size_t sealed = IMC_TICKET_HEAD + (size_t)count;
    if (count > 0 && out != 0 && size >= sealed + WC_SHA256_DIGEST_SIZE) {
        byte *next = out + IMC_TICKET_HEAD;
        out[0] = IMC_TICKET_FORMAT;
        out[1] = (byte)(tls->until >> 8);
        out[2] = (byte)tls->until;
        memcpy(out + 3, binding, IMC_TICKET_BINDING);
        count = wolfSSL_i2d_SSL_SESSION(session, &next);
        if (wc_Sha256Hash(out, (word32)sealed, out + sealed) != 0)
            count = 0;
    }
    if (session != 0)
        wolfSSL_SESSION_free(session);
    return count > 0 ? sealed + WC_SHA256_DIGEST_SIZE : 0;
}

#else

static int imc_tls_is_resumed(const imapconnect_tls *tls)
{
    (void)tls;
    return 0;
}

static int imc_tls_without_ticket(const imapconnect_tls *tls, int code)
{
    (void)tls;
    return code;
}

static int imc_tls_keep_binding(const imapconnect_tls *tls)
{
    (void)tls;
    return 0;
}

#endif

/* -- config.tls -- */

#ifdef IMAPCONNECT_NO_TLS_OPTIONS

static int imc_tls_set_options(imapconnect_tls *tls, const imapconnect_config *config, int secure)
{
    (void)tls;
    (void)config;
    (void)secure;
    return 0;
}

#else

#ifndef IMC_HAS_TICKETS

static int imc_tls_set_ticket(imapconnect_tls *tls)
{
    return tls->config->tls->ticket != 0 ? IMAPCONNECT_E_TICKET : 0; /* this wolfSSL has never made one */
}

#endif

static int imc_tls_set_options(imapconnect_tls *tls, const imapconnect_config *config, int secure)
{
    const imapconnect_tls_options *options = config->tls;
    int code;
    tls->config = config;
    tls->secure = (uint8_t)secure;
    if (options == 0)
        return 0;
    if ((options->pins == 0) != (options->pin_count == 0)) /* who forgets the number wants pins all the same */
        return IMAPCONNECT_E_PARAMETER;
    code = imc_tls_set_own(tls->ssl, options);
    return code != 0 ? code : imc_tls_set_ticket(tls);
}

#endif

/* -- the handshake -- */

/* Before connecting: all that can fail without the server, so that it costs no packet. */
static IMC_APART int imc_tls_prepare(imapconnect_tls *tls, const imapconnect_config *config,
                                     imapconnect_server *server, int secure, int verify)
{
    int code;
    memset(tls, 0, sizeof *tls);
    tls->self = tls;
    tls->server = server;
    tls->verify = verify != 0;
    code = imc_tls_choose_context(tls, config);
    if (code != 0)
        return code;
    tls->ssl = wolfSSL_new(tls->context);
    if (tls->ssl == 0)
        return IMAPCONNECT_E_MEMORY;
    return imc_tls_set_policy(tls) ? imc_tls_set_options(tls, config, secure) : IMAPCONNECT_E_TLS;
}

/* What was agreed is what was asked for. */
static int imc_tls_agreed(const imapconnect_tls *tls)
{
    int version = wolfSSL_version(tls->ssl);
    if (!tls->leaf_seen && !imc_tls_is_resumed(tls))
        return IMAPCONNECT_E_NO_CERTIFICATE;
    if ((version != 0x0303 && version != 0x0304) || !imc_tls_allows_suite(wolfSSL_get_current_cipher_suite(tls->ssl)))
        return IMAPCONNECT_E_WEAK;
    return 0;
}

/* The handshake, as far as it goes. Returns 0 when it is done, WANT, or an error. */
static IMC_APART int imc_tls_handshake(imapconnect_tls *tls, const imapconnect_transport *lower)
{
    int returned;
    tls->lower = lower;
    imc_tls_begin(tls);
    returned = wolfSSL_connect(tls->ssl);
    if (returned != WOLFSSL_SUCCESS)
        return imc_tls_without_ticket(tls, imc_tls_code(tls, returned));
    tls->silence = 0;
    returned = imc_tls_agreed(tls);
    if (returned == 0)
        returned = imc_tls_keep_binding(tls);
    tls->server = 0; /* its text is the caller's, and no second handshake is wanted */
    return returned;
}

/* Bytes of data, WANT, IMAPCONNECT_CLOSED after close_notify, or an error. */
static int imc_tls_read(imapconnect_tls *tls, void *bytes, size_t count)
{
    int got;
    imc_tls_begin(tls);
    got = wolfSSL_read(tls->ssl, bytes, (int)count);
    if (got > 0) {
        tls->silence = 0;
        return got;
    }
    got = imc_tls_code(tls, got);
    /* FIN without close_notify: somebody on the way may have cut the rest off, RFC 8446 section 6.1. */
    return got == IMAPCONNECT_CLOSED && tls->detail != WOLFSSL_ERROR_ZERO_RETURN ? IMAPCONNECT_E_TRUNCATED : got;
}

/* An answer of wolfSSL's own that is stuck, to a KeyUpdate say, leaves first, and not from within wolfSSL_write(): that
   would count what was last stuck there as sent, and leave out as many bytes of what it is given now. After the
   handshake wolfSSL_connect() does nothing else. */
static int imc_tls_flush(imapconnect_tls *tls)
{
    int returned = wolfSSL_connect(tls->ssl);
    return returned == WOLFSSL_SUCCESS ? 0 : imc_tls_code(tls, returned);
}

static int imc_tls_write(imapconnect_tls *tls, const void *bytes, size_t count)
{
    int sent;
    imc_tls_begin(tls);
    if (tls->unsent && !tls->writing) {
        sent = imc_tls_flush(tls);
        if (sent != 0)
            return sent;
    }
    sent = wolfSSL_write(tls->ssl, bytes, (int)count);
    tls->writing = sent <= 0;
    return sent > 0 ? sent : imc_tls_code(tls, sent);
}

/* Once, and only when the session ended in order. */
static void imc_tls_shutdown(imapconnect_tls *tls)
{
    if (tls->ssl != 0)
        (void)wolfSSL_shutdown(tls->ssl);
}

/* Each object once. The context is left alone when it is the caller's. */
static void imc_tls_free(imapconnect_tls *tls)
{
    if (tls->ssl != 0)
        wolfSSL_free(tls->ssl);
    if (tls->own_context)
        wolfSSL_CTX_free(tls->context);
    tls->ssl = 0;
    tls->context = 0;
    tls->own_context = 0;
}

static const char *imc_tls_describe(const imapconnect_tls *tls)
{
    return wolfSSL_get_cipher_name(tls->ssl);
}

#ifdef IMC_HAS_SCRAM

/* Channel binding by exported keying material, RFC 9266; below TLS 1.3 it would not be sure to be unique, section 4.2. */
static int imc_tls_can_export(const imapconnect_tls *tls)
{
#ifdef HAVE_KEYING_MATERIAL
    return wolfSSL_version(tls->ssl) == 0x0304;
#else
    (void)tls;
    return 0;
#endif
}

/* Returns 0 when the bytes are there. */
static int imc_tls_export(const imapconnect_tls *tls, uint8_t *bytes)
{
#ifdef HAVE_KEYING_MATERIAL
    return wolfSSL_export_keying_material(tls->ssl, bytes, IMC_SCRAM_EXPORTED, "EXPORTER-Channel-Binding", 24, 0, 0,
                                          0) != WOLFSSL_SUCCESS;
#else
    (void)tls;
    (void)bytes;
    return 1;
#endif
}

#endif

#else

static int imc_tls_prepare(imapconnect_tls *tls, const imapconnect_config *config, imapconnect_server *server,
                           int secure, int verify)
{
    (void)tls;
    (void)config;
    (void)server;
    (void)secure;
    (void)verify;
    return IMAPCONNECT_E_NO_TLS;
}

static int imc_tls_handshake(imapconnect_tls *tls, const imapconnect_transport *lower)
{
    (void)tls;
    (void)lower;
    return IMAPCONNECT_E_NO_TLS;
}

static int imc_tls_read(imapconnect_tls *tls, void *bytes, size_t count)
{
    (void)tls;
    (void)bytes;
    (void)count;
    return IMAPCONNECT_E_NO_TLS;
}

static int imc_tls_write(imapconnect_tls *tls, const void *bytes, size_t count)
{
    (void)tls;
    (void)bytes;
    (void)count;
    return IMAPCONNECT_E_NO_TLS;
}

static void imc_tls_shutdown(imapconnect_tls *tls)
{
    (void)tls;
}

static void imc_tls_free(imapconnect_tls *tls)
{
    (void)tls;
}

static const char *imc_tls_describe(const imapconnect_tls *tls)
{
    (void)tls;
    return "";
}

#endif

#if !defined(IMC_HAS_TICKETS) && !defined(IMAPCONNECT_NO_TLS_OPTIONS)

static size_t imc_tls_ticket(const imapconnect_tls *tls, const uint8_t *binding, unsigned char *out, size_t size)
{
    (void)tls;
    (void)binding;
    (void)out;
    (void)size;
    return 0;
}

#endif

/* >>session ------------------------------------------------------------------------------------------ *
 * Moves bytes between the transport and the engine, and keeps the time. One loop serves blocking and non-
 * blocking sessions. Invariant: every error ends in imc_session_fail(), which closes and wipes once. */

static uint32_t imc_session_now(const imapconnect_session *session)
{
    return session->config.clock != 0 ? session->config.clock(session->config.user) : 0;
}

/* What is left of the time limit, in ms; the clock may wrap. */
static uint32_t imc_session_left(const imapconnect_session *session)
{
    const imapconnect_engine *engine = &session->engine;
    uint32_t limit = session->config.timeout != 0 ? session->config.timeout : IMC_TIMEOUT;
    uint32_t gone = imc_session_now(session) - session->began;
    if (engine->state == IMC_IDLE)
        limit = engine->writer.number[1]; /* this wait has a limit of its own */
    return gone < limit ? limit - gone : 0;
}

/* A new step has its own time limit; so have the bytes of a literal and the rows that a command asked for, once
   logged in. News does not prolong a wait for news. */
static void imc_session_keep_time(imapconnect_session *session)
{
    imapconnect_engine *engine = &session->engine;
    int extended = engine->progress && engine->state >= IMC_READY && engine->state != IMC_IDLE;
    engine->progress = 0;
    if (session->step == engine->step && !extended)
        return;
    session->step = engine->step;
    session->began = imc_session_now(session);
}

/* Fills the read buffer, which is empty. Returns 0 when something came. */
static int imc_session_read(imapconnect_session *session)
{
    const imapconnect_transport *transport = &session->config.transport;
    int got = session->secured ? imc_tls_read(&session->tls, session->in, sizeof session->in)
                               : transport->read(transport->context, session->in, sizeof session->in);
    if (got <= 0)
        return imc_codes_of_transport(got);
    session->in_at = 0;
    session->in_end = (uint16_t)imc_bytes_least((size_t)got, sizeof session->in);
    return 0;
}

/* Sends what the engine has for the server. Returns 0 when something moved. */
static int imc_session_write(imapconnect_session *session)
{
    const imapconnect_transport *transport = &session->config.transport;
    const imapconnect_writer *writer = &session->engine.writer;
    size_t count = (size_t)(writer->used - writer->sent);
    const char *next = writer->out.bytes + writer->sent;
    int sent = session->secured ? imc_tls_write(&session->tls, next, count)
                                : transport->write(transport->context, next, count);
    if (sent <= 0)
        return imc_codes_of_transport(sent);
    imc_commands_sent(&session->engine, imc_bytes_least((size_t)sent, count));
#ifndef IMAPCONNECT_NO_COMMANDS
    imc_engine_sent(&session->engine);
#endif
    return 0;
}

static int imc_session_is_writing(const imapconnect_session *session)
{
    return session->engine.writer.sent < session->engine.writer.used;
}

/* -- what a state of the session does; each returns 0 to go on, WANT, or an error -- */

/* Until the command is whole the transmit buffer is free: here the host's name borrows it. */
static int imc_session_open(imapconnect_session *session)
{
    const imapconnect_transport *transport = &session->config.transport;
    imapconnect_engine *engine = &session->engine;
    char *host = engine->writer.out.bytes;
    int opened;
    memcpy(host, session->server.host, session->server.length);
    host[session->server.length] = '\0';
    session->opened = 1;
    session->patience = imc_session_left(session);
    opened = transport->open(transport->context, host, session->server.port, &session->patience);
    if (opened < 0)
        return imc_codes_of_transport(opened);
    if (imc_session_left(session) == 0)
        return IMAPCONNECT_E_CONNECT_TIMEOUT; /* looking up the name took too long */
    session->socket = opened;
    imc_engine_opened(engine);
    return 0;
}

/* Between the OK to STARTTLS and the ClientHello nothing may arrive: whatever does was put there by someone else,
   to be believed as if it had come through TLS. CVE-2020-15953, CVE-2020-15685, CVE-2020-14954. */
static int imc_session_is_clean(imapconnect_session *session)
{
    int tries;
    for (tries = 0; tries < 2 && session->in_at == session->in_end; tries++) {
        int code = imc_session_read(session);
        if (code != 0 && !imc_codes_is_want(code))
            return code;
    }
    return session->in_at == session->in_end ? 0 : IMAPCONNECT_E_INJECTION;
}

/* The handshake. In a STARTTLS session its first step is to look for bytes that should not be there. */
static int imc_session_secure(imapconnect_session *session)
{
    imapconnect_engine *engine = &session->engine;
    int code;
    if (session->tls.lower == 0 && engine->secure == IMAPCONNECT_STARTTLS) {
        code = imc_session_is_clean(session);
        if (code != 0)
            return code;
    }
    code = imc_tls_handshake(&session->tls, &session->config.transport);
    if (code != 0)
        return code;
    session->secured = 1;
#ifdef IMC_HAS_SCRAM
    engine->binds = imc_tls_can_export(&session->tls) != 0;
#endif
    imc_log_note(engine, imc_tls_describe(&session->tls));
    imc_engine_secured(engine);
    return 0;
}

/* Reads what is there before it writes: an answer that is there before its question is a forgery, and must not look
   like an answer. But a TLS record that has begun to leave goes first: to answer a KeyUpdate wolfSSL would send it
   from within a read, and then send it once more when the write is repeated. */
static int imc_session_exchange(imapconnect_session *session)
{
    const char *at;
    int code;
    if (session->tls.writing)
        return imc_session_write(session);
    code = session->in_at < session->in_end ? 0 : imc_session_read(session);
    if (imc_codes_is_want(code))
        return session->engine.error == 0 && imc_session_is_writing(session) ? imc_session_write(session) : code;
    if (code != 0)
        return code;
    at = session->in + session->in_at;
    imc_engine_take(&session->engine, &at, session->in + session->in_end);
    session->in_at = (uint16_t)(at - session->in);
    return 0;
}

#ifdef IMC_HAS_SCRAM

/* What the exchange is bound to, RFC 5802 section 7: cbind-input; in base64, 64 characters at most and NUL. Returns 0 when
   it is there. */
static IMC_APART int imc_session_bind(const imapconnect_session *session, char *binding)
{
    const imapconnect_engine *engine = &session->engine;
    const char *header = imc_engine_scram_header(engine, &imc_engine_mechanisms[engine->mechanism - 1]);
    unsigned char input[16 + IMC_SCRAM_EXPORTED];
    size_t count = strlen(header);
    memcpy(input, header, count);
    if (header[0] == 'p') {
        if (imc_tls_export(&session->tls, input + count) != 0)
            return 1;
        count += IMC_SCRAM_EXPORTED;
    }
    binding[imc_sasl_base64_encode(binding, input, count)] = '\0';
    return 0;
}

/* The key of SCRAM is whole. */
static IMC_APART int imc_session_prove(imapconnect_session *session)
{
    char binding[65];
    if (imc_session_bind(session, binding) != 0)
        return IMAPCONNECT_E_TLS;
    imc_engine_scram_prove(&session->engine, binding);
    return 0;
}

#endif

/* One piece of work, by the state that the engine is in. */
static int imc_session_work(imapconnect_session *session)
{
#ifdef IMC_HAS_SCRAM
    if (imc_engine_is_deriving(&session->engine))
        return imc_engine_derive(&session->engine) ? imc_session_prove(session) : 0;
#endif
    switch (session->engine.state) {
    case IMC_OPENING:
        return imc_session_open(session);
    case IMC_SECURING:
        return imc_session_secure(session);
    default:
        return imc_session_exchange(session);
    }
}

/* -- the end -- */

/* Closes what is open, each thing once, and wipes what was secret. */
static void imc_session_release(imapconnect_session *session)
{
    int opened = session->opened;
    imc_tls_free(&session->tls);
    session->opened = session->secured = session->busy = 0;
    if (opened)
        session->config.transport.close(session->config.transport.context);
    session->socket = -1;
    session->in_at = session->in_end = 0;
    IMAPCONNECT_WIPE(&session->engine.writer, sizeof session->engine.writer);
    IMAPCONNECT_WIPE(session->in, sizeof session->in);
#ifdef IMC_HAS_SCRAM
    IMAPCONNECT_WIPE(session->engine.scram, sizeof session->engine.scram);
#endif
}

/* The first error stays until the session is closed. A LOGOUT is that close, so there it only ends the call. */
static int imc_session_fail(imapconnect_session *session, int code)
{
    imapconnect_engine *engine = &session->engine;
    imc_log_end(engine);
    imc_engine_fail(engine, code);
    code = engine->error;
    session->detail = (int16_t)(session->tls.detail != 0 ? session->tls.detail : session->sockets.detail);
    imc_session_release(session);
    imc_engine_closed(engine);
    if (engine->command != 0 && (engine->command->traits & IMC_ENDS) != 0)
        engine->error = 0;
    return code;
}

/* The call has ended; LOGOUT ends the session as well, whatever the reply was. */
static int imc_session_end(imapconnect_session *session)
{
    imapconnect_engine *engine = &session->engine;
    int result = engine->result;
    session->busy = 0;
    engine->list = 0;
    memset(engine->writer.text, 0, sizeof engine->writer.text);
#ifdef IMC_HAS_SCRAM
    IMAPCONNECT_WIPE(engine->scram, sizeof engine->scram);
#endif
    if (engine->command != 0 && (engine->command->traits & IMC_ENDS) != 0) {
        if (result == IMAPCONNECT_OK)
            imc_tls_shutdown(&session->tls);
        imc_session_release(session);
        imc_engine_closed(engine);
        engine->error = 0; /* what a close inside the transport's close may have left */
    } else if (engine->command == 0 && result == IMAPCONNECT_OK) {
        result = session->socket; /* the connect's */
    }
    return result;
}

/* -- the loop -- */

/* Nothing can be done now: what for is noted, and a blocking session waits. Returns 0, or why it must not go on. */
static IMC_APART int imc_session_wait(imapconnect_session *session, int want)
{
    const imapconnect_config *config = &session->config;
    uint32_t left = imc_session_left(session);
    int code;
    if (session->engine.state != IMC_OPENING || session->patience > left)
        session->patience = left;
    session->wants = want == IMAPCONNECT_WANT_WRITE ? IMAPCONNECT_WRITABLE : IMAPCONNECT_READABLE;
    if (imc_session_is_writing(session))
        session->wants |= IMAPCONNECT_READABLE;
    if (config->nonblocking)
        return IMAPCONNECT_PENDING;
    if (config->keep_going != 0 && config->keep_going(config->user) != 0)
        return IMAPCONNECT_E_CANCELLED;
    if (config->transport.wait == 0 || session->engine.error != 0) /* a callback may have closed the session */
        return 0;
    left = (uint32_t)imc_bytes_least(session->patience, config->keep_going != 0 ? IMC_SLICE : session->patience);
    code = config->transport.wait(config->transport.context, session->wants, left);
    return code >= 0 ? 0 : imc_codes_of_failure(code);
}

/* Is the time up? Asked after the work and not before, so that what has arrived in time is still read. */
static int imc_session_late(imapconnect_session *session)
{
    imc_session_keep_time(session);
    if (session->engine.done)
        session->began = imc_session_now(session); /* of what comes after this call */
    if (session->engine.done || session->engine.state == IMC_IDLE || imc_session_left(session) > 0)
        return 0;
    return session->engine.state == IMC_OPENING ? IMAPCONNECT_E_CONNECT_TIMEOUT : IMAPCONNECT_E_TIMEOUT;
}

/* A wait for news whose time is up, or that somebody has ended, has something to say now. Returns 1 when it had. */
static int imc_session_wakes(imapconnect_session *session)
{
    imapconnect_engine *engine = &session->engine;
    if (engine->state != IMC_IDLE || session->step != engine->step)
        return 0; /* a wait that has only just begun has its time before it */
    if (session->in_at < session->in_end || (!engine->enough && imc_session_left(session) > 0))
        return 0; /* what is here already is told first */
    engine->command->next(engine);
    return 1;
}

/* There is more to do, and a fast server could keep it so; but the caller has other things to do as well. */
static int imc_session_breathe(imapconnect_session *session)
{
    const imapconnect_config *config = &session->config;
    session->patience = 0;
    if (config->nonblocking)
        return IMAPCONNECT_PENDING;
    return config->keep_going != 0 && config->keep_going(config->user) != 0 ? IMAPCONNECT_E_CANCELLED : 0;
}

/* Works until the call has its result; waits where there is nothing to do, or returns IMAPCONNECT_PENDING. */
static int imc_session_loop(imapconnect_session *session)
{
    const imapconnect_engine *engine = &session->engine;
    unsigned works = 0;
    for (;;) {
        int code = engine->error != 0 || engine->done ? engine->error : imc_session_work(session);
        int late;
        if ((code == 0 || imc_codes_is_want(code)) && imc_session_wakes(session))
            code = 0;
        late = imc_session_late(session);
        if (imc_codes_is_want(code))
            code = late != 0 ? late : imc_session_wait(session, code);
        if (engine->error != 0)
            code = engine->error;
        if (code == 0 && engine->done)
            return imc_session_end(session);
        if (code == 0)
            code = late;
        if (code == 0 && ++works % IMC_STEP_WORKS == 0)
            code = imc_session_breathe(session);
        if (code == IMAPCONNECT_PENDING)
            return code;
        if (code != 0)
            return imc_session_fail(session, code);
    }
}

/* While it runs, whatever is called on this session is called by one of its callbacks. */
static int imc_session_run(imapconnect_session *session)
{
    int result;
    session->running = 1;
    result = imc_session_loop(session);
    session->running = 0;
    return result;
}

/* Has imapconnect_init() prepared this memory? */
static IMC_APART int imc_session_exists(const imapconnect_session *session)
{
    return session != 0 && session->magic == IMC_MAGIC;
}

/* May a command begin? Returns 0 or why not. */
static int imc_session_check(const imapconnect_session *session)
{
    if (!imc_session_exists(session))
        return IMAPCONNECT_E_NOT_OPEN;
    if (session->busy)
        return IMAPCONNECT_E_BUSY;
    if (session->engine.error != 0)
        return session->engine.error;
    return session->engine.state == IMC_READY ? 0 : IMAPCONNECT_E_NOT_OPEN;
}

/* The same, and the list of the call is emptied, unless it may be that of the call in progress. */
static int imc_session_enter(const imapconnect_session *session, imapconnect_list *responses)
{
    int code = imc_session_check(session);
    if (code != IMAPCONNECT_E_BUSY && responses != 0)
        imc_list_clear(responses);
    return code;
}

/* Begins a command whose arguments are set. */
static int imc_session_command(imapconnect_session *session, const struct imc_command *command,
                               imapconnect_list *responses)
{
    session->busy = session->running = 1; /* from here on callbacks are called, the clock among them */
    if (session->began != imc_session_now(session))
        session->sockets.drained = 0; /* what has come since the last call is read before we write */
    imc_engine_call(&session->engine, responses);
    imc_engine_begin(&session->engine, command);
    return imc_session_run(session);
}

/* A call: its arguments stand in the order of the command's format, behind those that its traits say come first. */
static int imc_session_call(imapconnect_session *session, const struct imc_command *command,
                            imapconnect_list *responses, ...)
{
    int code = imc_session_enter(session, responses);
    va_list arguments;
    if (code != 0)
        return code;
    va_start(arguments, responses);
    code = imc_commands_collect(&session->engine, command, &arguments);
    va_end(arguments);
    return code != 0 ? code : imc_session_command(session, command, responses);
}

/* >>connect ------------------------------------------------------------------------------------------ *
 * The documented call, its siblings, and what can be asked. Invariant: what can be known to be wrong is
 * refused before a byte leaves. Nothing here knows the protocol. */

/* The size is the caller's: one with other switches has another one, and nothing behind it is touched. */
IMAPCONNECT_API void imapconnect_config_init_sized(imapconnect_config *config, size_t size)
{
    memset(config, 0, size);
}

IMAPCONNECT_API int imapconnect_init_sized(imapconnect_session *session, const imapconnect_config *config,
                                           size_t size, size_t read_size)
{
    if (session == 0)
        return IMAPCONNECT_E_PARAMETER;
    if (size != sizeof *session || read_size != sizeof session->in)
        return IMAPCONNECT_E_LAYOUT;
    memset(session, 0, sizeof *session);
    if (config != 0)
        session->config = *config;
    session->sockets.fd = -1;
    session->socket = -1;
    session->engine.config = &session->config;
    session->magic = IMC_MAGIC;
    return 0;
}

/* A user name or a password: not too long, and no line end that would begin a command of somebody else's. */
static int imc_connect_check_argument(const char *text, size_t most)
{
    size_t count;
    if (text == 0)
        return IMAPCONNECT_E_PARAMETER;
    count = imc_bytes_length(text, most + 1);
    if (count > most)
        return IMAPCONNECT_E_TOO_LONG;
    return imc_commands_is_line(text, count) ? 0 : IMAPCONNECT_E_VALUE;
}

/* Nothing is left of an earlier connection on the same session, nor of the place where the session was then. */
static void imc_connect_reset(imapconnect_session *session)
{
    memset(&session->engine, 0, sizeof session->engine);
    memset(&session->tls, 0, sizeof session->tls);
    memset(&session->sockets, 0, sizeof session->sockets);
    session->engine.config = &session->config;
    session->sockets.fd = -1;
    session->detail = 0;
    session->step = 0;
    imc_sockets_default(session);
}

#ifndef IMAPCONNECT_NO_SASL

/* Which mechanisms may be tried, and how long a password may be for them. Returns 0 for a number that is no sum of them. */
static size_t imc_connect_longest(int auth)
{
    int tokens = IMAPCONNECT_AUTH_OAUTHBEARER | IMAPCONNECT_AUTH_XOAUTH2;
    int known = tokens | IMAPCONNECT_AUTH_EXTERNAL | IMAPCONNECT_AUTH_STRONGEST;
    if (auth != IMAPCONNECT_AUTH_AUTO && ((auth & ~(known | IMAPCONNECT_AUTH_IN_CLEAR)) != 0 || (auth & known) == 0))
        return 0;
    return (auth & tokens) != 0 && (auth & IMAPCONNECT_AUTH_STRONGEST) == 0 ? IMAPCONNECT_MAX_TOKEN
                                                                            : IMAPCONNECT_MAX_ARGUMENT;
}

#else

static size_t imc_connect_longest(int auth)
{
    return auth == IMAPCONNECT_AUTH_AUTO ? IMAPCONNECT_MAX_ARGUMENT : 0;
}

#endif

/* Everything that can be known to be wrong before a packet is sent. */
static int imc_connect_check(imapconnect_session *session, const char *server, const char *username,
                             const char *password, int secure, int verify)
{
    const imapconnect_transport *transport = &session->config.transport;
    size_t longest = imc_connect_longest(session->config.auth);
    int code;
    if (server == 0 || transport->open == 0 || transport->read == 0 || transport->write == 0 ||
        transport->close == 0 || session->config.clock == 0)
        return IMAPCONNECT_E_PARAMETER;
    if (secure < IMAPCONNECT_INSECURE || secure > IMAPCONNECT_STARTTLS)
        return IMAPCONNECT_E_SECURE;
    if (longest == 0)
        return IMAPCONNECT_E_VALUE;
    code = imc_names_parse(&session->server, server, secure == IMAPCONNECT_TLS ? 993 : 143);
    if (code == 0)
        code = imc_connect_check_argument(username, IMAPCONNECT_MAX_ARGUMENT);
    if (code == 0)
        code = imc_connect_check_argument(password, longest);
    if (code == 0 && secure != IMAPCONNECT_INSECURE)
        code = imc_tls_prepare(&session->tls, &session->config, &session->server, secure, verify);
    return code;
}

IMAPCONNECT_API int imapconnect(imapconnect_session *session, const char *server, const char *username,
                                const char *password, imapconnect_log on_log, imapconnect_list *responses, int secure,
                                int verify)
{
    imapconnect_engine *engine;
    int code = imc_session_enter(session, responses);
    if (code == 0)
        return IMAPCONNECT_E_OPEN;
    if (code != IMAPCONNECT_E_NOT_OPEN || !imc_session_exists(session))
        return code;
    engine = &session->engine;
    imc_connect_reset(session);
    imc_engine_call(engine, responses);
    engine->on_log = on_log;
    engine->writer.text[0] = username;
    engine->writer.text[1] = password;
    engine->secure = (uint8_t)secure;
    session->busy = session->running = 1;
    session->began = imc_session_now(session);
    code = imc_connect_check(session, server, username, password, secure, verify);
    if (code != 0)
        imc_engine_fail(engine, code);
    imc_engine_start(engine);
    return imc_session_run(session);
}

IMAPCONNECT_API void imapconnect_close(imapconnect_session *session)
{
    imapconnect_config config;
    if (!imc_session_exists(session))
        return;
    if (session->running) {
        imc_engine_fail(&session->engine, IMAPCONNECT_E_CANCELLED);
        return;
    }
    imc_session_release(session);
    config = session->config;
    IMAPCONNECT_WIPE(session, sizeof *session);
    (void)imapconnect_init(session, &config);
}

IMAPCONNECT_API int imapconnect_disconnect(imapconnect_session *session, imapconnect_list *responses)
{
    int code = imc_session_enter(session, responses);
    if (code != 0) {
        if (code != IMAPCONNECT_E_BUSY)
            imapconnect_close(session);
        return code;
    }
    return imc_session_command(session, &imc_engine_logout, responses);
}

IMAPCONNECT_API int imapconnect_noop(imapconnect_session *session, imapconnect_list *responses)
{
    return imc_session_call(session, &imc_engine_noop, responses);
}

IMAPCONNECT_API int imapconnect_command(imapconnect_session *session, const char *text, imapconnect_list *responses)
{
    return imc_session_call(session, &imc_engine_text, responses, text);
}

IMAPCONNECT_API int imapconnect_step(imapconnect_session *session)
{
    int code = imc_session_check(session);
    if (code != IMAPCONNECT_E_BUSY || session->running)
        return code;
    return imc_session_run(session);
}

IMAPCONNECT_API int imapconnect_wants(const imapconnect_session *session, uint32_t *milliseconds)
{
    if (milliseconds != 0)
        *milliseconds = session->patience;
    return session->wants;
}

IMAPCONNECT_API int imapconnect_socket(const imapconnect_session *session)
{
    if (session->socket >= 0 || !session->opened)
        return session->socket;
    return session->sockets.fd;
}

IMAPCONNECT_API int imapconnect_is_open(const imapconnect_session *session)
{
    return session->engine.state >= IMC_READY;
}

IMAPCONNECT_API int imapconnect_is_encrypted(const imapconnect_session *session)
{
    return session->engine.encrypted;
}

IMAPCONNECT_API const char *imapconnect_mechanism(const imapconnect_session *session)
{
    if (session->engine.preauth)
        return "PREAUTH";
    return session->engine.entered == 0 ? "" : imc_engine_mechanisms[session->engine.entered - 1].name;
}

IMAPCONNECT_API const char *imapconnect_answer(const imapconnect_session *session)
{
    const char *word = imc_responses_status;
    unsigned answer;
    for (answer = session->engine.reader.answer; answer > 0; answer--)
        word += strlen(word) + 1;
    return word;
}

IMAPCONNECT_API const char *imapconnect_response_code(const imapconnect_session *session)
{
    return session->engine.reader.code;
}

IMAPCONNECT_API const char *imapconnect_server_text(const imapconnect_session *session)
{
    return session->engine.reader.text;
}

#ifndef IMAPCONNECT_NO_SASL

/* In the order of enum imapconnect_reason. "Too many simultaneous connections", "Maximum number of connections from
   user+IP exceeded", "Request is throttled" and the like come without a code, with ALERT or with UNAVAILABLE; any other
   code that is known says more than the words. */
IMAPCONNECT_API int imapconnect_reason(const imapconnect_session *session)
{
    static const char *const words[] = {"ALERT",
                                        "UNAVAILABLE",
                                        "AUTHENTICATIONFAILED",
                                        "AUTHORIZATIONFAILED",
                                        "EXPIRED",
                                        "PRIVACYREQUIRED",
                                        "CONTACTADMIN",
                                        "LIMIT",
                                        "NOPERM",
                                        "INUSE",
                                        "OVERQUOTA",
                                        "ALREADYEXISTS",
                                        "NONEXISTENT",
                                        "TRYCREATE",
                                        "CANNOT",
                                        "BADCHARSET",
                                        "EXPUNGEISSUED",
                                        "CORRUPTION",
                                        "SERVERBUG",
                                        "CLIENTBUG"};
    const imapconnect_reader *reader = &session->engine.reader;
    size_t count = 0, i;
    int reason;
    while (reader->code[count] != '\0' && reader->code[count] != ' ')
        count++;
    reason = count == 0 ? IMAPCONNECT_REASON_NONE : IMAPCONNECT_REASON_UNKNOWN;
    for (i = 0; i < sizeof words / sizeof words[0]; i++)
        if (imc_bytes_same(reader->code, count, words[i]))
            reason = IMAPCONNECT_REASON_ALERT + (int)i;
    return reason <= IMAPCONNECT_REASON_UNAVAILABLE &&
                   (imc_bytes_holds(reader->text, "connections") || imc_bytes_holds(reader->text, "throttled"))
               ? IMAPCONNECT_REASON_LIMIT
               : reason;
}

#endif

IMAPCONNECT_API const char *imapconnect_phase(const imapconnect_session *session)
{
    const imapconnect_engine *engine = &session->engine;
    return imc_engine_phases[engine->error != 0 ? engine->failed_state : engine->state];
}

IMAPCONNECT_API int imapconnect_detail(const imapconnect_session *session)
{
    return session->detail;
}

IMAPCONNECT_API unsigned imapconnect_ca_skipped(const imapconnect_session *session)
{
    return session->tls.skipped;
}

#ifndef IMAPCONNECT_NO_TLS_OPTIONS

IMAPCONNECT_API size_t imapconnect_ticket(const imapconnect_session *session, void *buffer, size_t size)
{
    if (session == 0 || session->magic != IMC_MAGIC || !session->secured)
        return 0;
    return imc_tls_ticket(&session->tls, session->server.address, (unsigned char *)buffer, size);
}

#endif

#ifndef IMAPCONNECT_NO_COMMANDS

/* >>mailboxes ---------------------------------------------------------------------------------------- *
 * Mailboxes as a whole: which is open, which there are. Invariant of this room and those below: arguments
 * are checked before a byte leaves; what changes the state of the session is asked of >>engine. */

/* -- SELECT and EXAMINE -- */

/* "UIDNEXT 4392"; the numbers are kept in the order of their names. */
static void imc_select_code(imapconnect_engine *engine)
{
    const imapconnect_reader *reader = &engine->reader;
    imapconnect_row *row = &engine->writer.out.in.row;
    size_t count = reader->code_length, word = 0;
    unsigned which;
    uint32_t number;
    while (word < count && reader->code[word] != ' ')
        word++;
    which = imc_bytes_word(reader->code, word, "UIDNEXT\0UIDVALIDITY\0UNSEEN\0PERMANENTFLAGS\0");
    if (which == 4) {
        imc_rows_set_flags(&row->is.selection.permanent_flags, reader->found);
        row->finished = 1;
    } else if (which != 0 && word < count && imc_bytes_number(reader->code + word + 1, count - word - 1, &number)) {
        memcpy((char *)&row->is.selection + offsetof(imapconnect_selection, uidnext) + (which - 1) * sizeof number,
               &number, sizeof number);
    }
}

/* A flag of `FLAGS (...)`. */
static void imc_select_flag(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    if (row->depth != 1)
        imc_rows_malformed(engine);
    row->flags = (uint8_t)(row->flags | imc_rows_flag(imc_rows_text(engine), row->length));
}

static void imc_select_take(imapconnect_engine *engine, int what, const imc_slice *piece)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    (void)piece;
    if (what == IMC_TAKE_CODE)
        imc_select_code(engine);
    else if (what == IMC_TAKE_NEWS && engine->reader.saw == IMC_SAW_RECENT)
        row->is.selection.recent = engine->reader.number;
    else if (what == IMC_TAKE_VALUE)
        imc_select_flag(engine);
    else if (what == IMC_TAKE_ROW) {
        if (row->field[0] != 1)
            imc_rows_malformed(engine);
        imc_rows_set_flags(&row->is.selection.flags, row->flags); /* the last list counts: section 7.2.6 */
    }
}

/* What the server does not say of permanent flags is: all can be kept, RFC 3501 section 7.1. */
static void imc_select_end(imapconnect_engine *engine)
{
    const imapconnect_row *row = &engine->writer.out.in.row;
    imapconnect_selection *selection = (imapconnect_selection *)engine->user;
    engine->read_only = (engine->command->traits & IMC_EXAMINES) != 0 || imc_rows_said(engine, "READ-ONLY");
    if (selection != 0) {
        *selection = row->is.selection;
        selection->messages = engine->exists; /* an EXPUNGE may have come behind EXISTS: section 7.4.1 */
        if (!row->finished)
            imc_rows_set_flags(&selection->permanent_flags, 0x6f); /* but \Recent */
        selection->read_only = engine->read_only;
    }
    imc_engine_finish(engine, IMAPCONNECT_OK);
}

static const struct imc_command imc_select = {
    "SELECT %m", "FLAGS", imc_select_take, imc_select_end, IMAPCONNECT_E_SELECT, IMC_FILLS | IMC_SELECTS};
static const struct imc_command imc_examine = {"EXAMINE %m",         "FLAGS",
                                               imc_select_take,      imc_select_end,
                                               IMAPCONNECT_E_SELECT, IMC_FILLS | IMC_SELECTS | IMC_EXAMINES};

IMAPCONNECT_API int imapconnect_select_mailbox(imapconnect_session *session, const char *mailbox,
                                               imapconnect_selection *selection, imapconnect_list *responses)
{
    return imc_session_call(session, &imc_select, responses, (void *)selection, mailbox);
}

IMAPCONNECT_API int imapconnect_examine_mailbox(imapconnect_session *session, const char *mailbox,
                                                imapconnect_selection *selection, imapconnect_list *responses)
{
    return imc_session_call(session, &imc_examine, responses, (void *)selection, mailbox);
}

/* -- what has no arguments -- */

static const struct imc_command imc_check = {"CHECK", 0, 0, 0, IMAPCONNECT_E_CHECK, 0};

/* The mailbox is closed. */
static void imc_close_end(imapconnect_engine *engine)
{
    engine->exists = IMC_UNKNOWN;
    imc_engine_finish(engine, IMAPCONNECT_OK);
}

static const struct imc_command imc_close = {"CLOSE", 0, 0, imc_close_end, IMAPCONNECT_E_NO, 0};
static const struct imc_command imc_unselect = {"UNSELECT", 0, 0, imc_close_end, IMAPCONNECT_E_NO, 0};

IMAPCONNECT_API int imapconnect_close_mailbox(imapconnect_session *session, imapconnect_list *responses)
{
    return imc_session_call(session, &imc_close, responses);
}

IMAPCONNECT_API int imapconnect_unselect_mailbox(imapconnect_session *session, imapconnect_list *responses)
{
    return imc_session_call(session, &imc_unselect, responses);
}

IMAPCONNECT_API int imapconnect_check(imapconnect_session *session, imapconnect_list *responses)
{
    return imc_session_call(session, &imc_check, responses);
}

/* -- ID and ENABLE -- */

static const struct imc_command imc_id = {"ID (\"name\" %i%( \"version\" %i%))", 0, 0, 0, IMAPCONNECT_E_NO, 0};
static const struct imc_command imc_id_nil = {"ID NIL", 0, 0, 0, IMAPCONNECT_E_NO, 0};

IMAPCONNECT_API int imapconnect_id(imapconnect_session *session, const char *name, const char *version,
                                   imapconnect_list *responses)
{
    return imc_session_call(session, name == 0 ? &imc_id_nil : &imc_id, responses, name, version);
}

static void imc_enable_take(imapconnect_engine *engine, int what, const imc_slice *piece)
{
    (void)piece;
    if (what == IMC_TAKE_VALUE && imc_rows_is(engine, "UTF8=ACCEPT"))
        engine->utf8 = 1;
}

static const struct imc_command imc_enable = {"ENABLE %E", "ENABLED", imc_enable_take, 0, IMAPCONNECT_E_NO, 0};

IMAPCONNECT_API int imapconnect_enable(imapconnect_session *session, const char *extensions,
                                       imapconnect_list *responses)
{
    return imc_session_call(session, &imc_enable, responses, extensions);
}

#ifndef IMAPCONNECT_NO_MAILBOXES

/* -- LIST and LSUB -- */

/* The present value as a mailbox name, NUL-terminated in its place: UTF-8, or as it came behind IMC_RAW_NAME. To be
   decoded it moves to the end of the text; with one byte in eight to spare no byte is overwritten before it is read.
   Returns how long it is. */
static size_t imc_list_decode(imapconnect_engine *engine, uint8_t *raw)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    char *text = imc_rows_text(engine);
    size_t room = sizeof engine->writer.out.in.text - row->base, count = row->length, decoded;
    if (row->cut || count + count / 8 + 4 > room) {
        imc_engine_fail(engine, IMAPCONNECT_E_FIELD_LENGTH);
        return 0;
    }
    text[count] = '\0';
    *raw = 0;
    if (strlen(text) != count)
        imc_rows_malformed(engine); /* NUL is in no literal but one of BINARY, section 9 */
    if (count == 0 || (engine->utf8 && imc_names_is_utf8(text)))
        return count;
    decoded = engine->utf8 ? 0 : imc_names_decode(text, count, 0);
    *raw = decoded == 0;
    if (*raw) {
        memmove(text + 1, text, count);
        text[0] = IMC_RAW_NAME;
        decoded = count + 1;
    } else {
        memmove(text + room - count, text, count);
        (void)imc_names_decode(text + room - count, count, text);
    }
    text[decoded] = '\0';
    return decoded;
}

/* Attributes, RFC 3501 section 7.2.2, RFC 3348, RFC 5258 (a mailbox that does not exist cannot be selected). */
static void imc_list_attribute(imapconnect_engine *engine)
{
    static const uint8_t columns[] = {
        offsetof(imapconnect_mailbox, has_children), offsetof(imapconnect_mailbox, has_children),
        offsetof(imapconnect_mailbox, no_inferiors), offsetof(imapconnect_mailbox, no_select),
        offsetof(imapconnect_mailbox, no_select),    offsetof(imapconnect_mailbox, marked),
        offsetof(imapconnect_mailbox, unmarked)};
    unsigned which = imc_rows_word(engine, "\\HasNoChildren\0\\HasChildren\0\\Noinferiors\0\\Noselect\0"
                                           "\\NonExistent\0\\Marked\0\\Unmarked\0");
    if (which != 0) /* the columns are one byte each, and the first attribute alone says no */
        ((uint8_t *)&engine->writer.out.in.row.is.mailbox)[columns[which - 1]] = which != 1;
}

/* The separator: one character, or NIL. */
static char imc_list_separator(imapconnect_engine *engine)
{
    const imapconnect_row *row = &engine->writer.out.in.row;
    if (row->string && row->length == 1)
        return *imc_rows_text(engine);
    if (row->string || !imc_rows_is(engine, "NIL"))
        imc_rows_malformed(engine);
    return '\0';
}

/* What extensions put behind the name goes behind it in the text, too. */
static void imc_list_name(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    row->is.mailbox.name = imc_rows_text(engine);
    row->base = (uint16_t)(imc_list_decode(engine, &row->is.mailbox.raw) + 1);
}

/* The row is whole: the separator has come, and the name, and neither of them was a list. */
static void imc_list_row(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    if (row->has != 2 || row->base == 0)
        imc_rows_malformed(engine);
    else
        imc_rows_given(engine, engine->taker.mailbox(engine->user, &row->is.mailbox));
}

/* `(attributes) separator name`, and behind it a list of what extensions tell. */
static void imc_list_take(imapconnect_engine *engine, int what, const imc_slice *piece)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    int at = row->field[0];
    (void)piece;
    if (what == IMC_TAKE_ROW)
        imc_list_row(engine);
    if (what != IMC_TAKE_VALUE)
        return;
    if (!row->has) { /* the row begins */
        memset(&row->is.mailbox, 0, sizeof row->is.mailbox);
        row->is.mailbox.has_children = -1;
        row->has = 1;
    }
    if (row->depth == 1 && at == 0) {
        imc_list_attribute(engine);
    } else if (row->depth == 0 && at == 1) {
        row->is.mailbox.separator = imc_list_separator(engine);
        row->has = 2;
    } else if (row->depth == 0 && at == 2) {
        imc_list_name(engine);
    } else if (row->depth == 0 || at < 3) {
        imc_rows_malformed(engine);
    }
}

static const struct imc_command imc_list_rows = {"LIST %m %m",       "LIST",   imc_list_take, 0,
                                                 IMAPCONNECT_E_LIST, IMC_LISTS};
static const struct imc_command imc_lsub_rows = {"LSUB %m %m",       "LSUB",   imc_list_take, 0,
                                                 IMAPCONNECT_E_LIST, IMC_LISTS};

IMAPCONNECT_API int imapconnect_list_mailboxes(imapconnect_session *session, const char *reference,
                                               const char *pattern, imapconnect_on_mailbox on_mailbox, void *user,
                                               imapconnect_list *responses)
{
    imapconnect_taker taker;
    taker.mailbox = on_mailbox;
    return imc_session_call(session, &imc_list_rows, responses, taker, user, reference, pattern);
}

IMAPCONNECT_API int imapconnect_list_subscribed_mailboxes(imapconnect_session *session, const char *reference,
                                                          const char *pattern, imapconnect_on_mailbox on_mailbox,
                                                          void *user, imapconnect_list *responses)
{
    imapconnect_taker taker;
    taker.mailbox = on_mailbox;
    return imc_session_call(session, &imc_lsub_rows, responses, taker, user, reference, pattern);
}

IMAPCONNECT_API int imapconnect_collect_mailbox(void *user, const imapconnect_mailbox *row)
{
    imapconnect_mailboxes *all = (imapconnect_mailboxes *)user;
    size_t size = strlen(row->name) + 1, at = all->text_used;
    all->text_used += size;
    if (all->count++ >= all->size)
        return 0;
    all->rows[all->count - 1] = *row;
    all->rows[all->count - 1].name = 0;
    if (all->text_used <= all->text_size)
        all->rows[all->count - 1].name = (const char *)memcpy(all->text + at, row->name, size);
    return 0;
}

/* -- what changes mailboxes -- */

static const struct imc_command imc_create = {"CREATE %m", 0, 0, 0, IMAPCONNECT_E_CREATE, 0};
static const struct imc_command imc_delete = {"DELETE %m", 0, 0, 0, IMAPCONNECT_E_DELETE, 0};
static const struct imc_command imc_rename = {"RENAME %m %m", 0, 0, 0, IMAPCONNECT_E_RENAME, 0};
static const struct imc_command imc_subscribe = {"SUBSCRIBE %m", 0, 0, 0, IMAPCONNECT_E_SUBSCRIBE, 0};
static const struct imc_command imc_unsubscribe = {"UNSUBSCRIBE %m", 0, 0, 0, IMAPCONNECT_E_UNSUBSCRIBE, 0};

IMAPCONNECT_API int imapconnect_create_mailbox(imapconnect_session *session, const char *mailbox,
                                               imapconnect_list *responses)
{
    return imc_session_call(session, &imc_create, responses, mailbox);
}

IMAPCONNECT_API int imapconnect_delete_mailbox(imapconnect_session *session, const char *mailbox,
                                               imapconnect_list *responses)
{
    return imc_session_call(session, &imc_delete, responses, mailbox);
}

IMAPCONNECT_API int imapconnect_subscribe_mailbox(imapconnect_session *session, const char *mailbox,
                                                  imapconnect_list *responses)
{
    return imc_session_call(session, &imc_subscribe, responses, mailbox);
}

IMAPCONNECT_API int imapconnect_unsubscribe_mailbox(imapconnect_session *session, const char *mailbox,
                                                    imapconnect_list *responses)
{
    return imc_session_call(session, &imc_unsubscribe, responses, mailbox);
}

IMAPCONNECT_API int imapconnect_rename_mailbox(imapconnect_session *session, const char *old_name,
                                               const char *new_name, imapconnect_list *responses)
{
    return imc_session_call(session, &imc_rename, responses, old_name, new_name);
}

/* -- STATUS -- */

/* `name (word number word number ...)` */
static void imc_status_take(imapconnect_engine *engine, int what, const imc_slice *piece)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    uint32_t number;
    (void)piece;
    if (what > IMC_TAKE_ROW)
        return; /* news may come before the command has left, while its bytes stand where the row will be */
    if (what == IMC_TAKE_ROW ? row->field[0] != 2 || row->field[1] % 2 != 0 : (row->depth != 0) != row->field[0])
        imc_rows_malformed(engine);
    else if (row->depth == 1 && row->field[1] % 2 == 0)
        row->key = imc_rows_word(engine, "MESSAGES\0RECENT\0UIDNEXT\0UIDVALIDITY\0UNSEEN\0");
    else if (row->depth == 1 && row->key != 0) {
        number = imc_rows_number(engine);
        memcpy((char *)&row->is.status + (row->key - 1u) * sizeof number, &number, sizeof number); /* in this order */
    }
}

static void imc_status_end(imapconnect_engine *engine)
{
    if (engine->user != 0)
        *(imapconnect_status *)engine->user = engine->writer.out.in.row.is.status;
    imc_engine_finish(engine, IMAPCONNECT_OK);
}

static const struct imc_command imc_status = {"STATUS %m (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN)",
                                              "STATUS",
                                              imc_status_take,
                                              imc_status_end,
                                              IMAPCONNECT_E_NO,
                                              IMC_FILLS | IMC_PAIRS};

IMAPCONNECT_API int imapconnect_mailbox_status(imapconnect_session *session, const char *mailbox,
                                               imapconnect_status *status, imapconnect_list *responses)
{
    return imc_session_call(session, &imc_status, responses, (void *)status, mailbox);
}

/* -- NAMESPACE -- */

/* It stays where it is, in front of the separator. The prefix before it must have had one. */
static void imc_namespace_prefix(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    uint8_t raw;
    if (row->base != 0 || row->field[0] > 2)
        imc_rows_malformed(engine);
    row->is.space.kind = row->field[0];
    row->base = (uint16_t)(row->base + imc_list_decode(engine, &raw) + 1);
}

static void imc_namespace_separator(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    row->is.space.separator = imc_list_separator(engine);
    row->base = 0;
    row->is.space.prefix = imc_rows_text(engine);
    if (engine->error == 0)
        imc_rows_given(engine, engine->taker.space(engine->user, &row->is.space));
}

/* Three lists of `(prefix separator ...)`, each of them may be NIL: RFC 2342 section 5. */
static void imc_namespace_take(imapconnect_engine *engine, int what, const imc_slice *piece)
{
    const imapconnect_row *row = &engine->writer.out.in.row;
    (void)piece;
    if (what != IMC_TAKE_VALUE) {
        if (what == IMC_TAKE_ROW && (row->field[0] != 3 || row->base != 0))
            imc_rows_malformed(engine);
    } else if (row->depth < 2) {
        if (row->depth != 0 || row->string || !imc_rows_is(engine, "NIL"))
            imc_rows_malformed(engine);
    } else if (row->depth == 2 && row->field[2] == 0) {
        imc_namespace_prefix(engine);
    } else if (row->depth == 2 && row->field[2] == 1) {
        imc_namespace_separator(engine);
    }
}

static const struct imc_command imc_namespaces = {"NAMESPACE", "NAMESPACE",      imc_namespace_take,
                                                  0,           IMAPCONNECT_E_NO, IMC_LISTS | IMC_PREFIXES};

IMAPCONNECT_API int imapconnect_list_namespaces(imapconnect_session *session, imapconnect_on_namespace on_namespace,
                                                void *user, imapconnect_list *responses)
{
    imapconnect_taker taker;
    taker.space = on_namespace;
    return imc_session_call(session, &imc_namespaces, responses, taker, user);
}

#endif /* IMAPCONNECT_NO_MAILBOXES */

#ifndef IMAPCONNECT_NO_MESSAGES

/* >>messages ----------------------------------------------------------------------------------------- *
 * Messages of the open mailbox. Numbers of a call, in the writer: first the UID, or the range. */

/* -- the items of a FETCH response, RFC 3501 section 7.4.2 -- */

enum imc_key { IMC_KEY_NONE, IMC_KEY_UID, IMC_KEY_SIZE, IMC_KEY_DATE, IMC_KEY_FLAGS, IMC_KEY_BODY };
#define IMC_HAS_SIZE (1u << (IMC_KEY_SIZE - 1))
#define IMC_HAS_DATE (1u << (IMC_KEY_DATE - 1))
#define IMC_HAS_BODY (1u << (IMC_KEY_BODY - 1))

/* An item has come, or a list of flags that may be empty. */
static void imc_fetch_has(imapconnect_row *row)
{
    row->has = (uint8_t)(row->has | 1u << (row->key - 1));
}

/* An item's name. */
static void imc_fetch_key(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    row->key = imc_rows_word(engine, "UID\0RFC822.SIZE\0INTERNALDATE\0FLAGS\0");
    if (row->key == IMC_KEY_FLAGS) {
        imc_fetch_has(row);
        row->flags = 0; /* should they come twice, the last list counts */
    }
}

/* -- listing -- */

/* INTERNALDATE: a quoted string of 26 bytes, RFC 3501 section 9: date-time. */
static void imc_messages_date(imapconnect_engine *engine)
{
    const imapconnect_row *row = &engine->writer.out.in.row;
    if (row->string != IMC_STRING || row->length != 26)
        imc_rows_malformed(engine);
    else
        memcpy(engine->writer.out.in.row.is.message.internal_date, imc_rows_text(engine), 26);
}

/* The value of an item; flags stand in parentheses. */
static void imc_messages_item(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    imapconnect_message *message = &row->is.message;
    if (row->key == IMC_KEY_UID)
        message->uid = imc_rows_uid(engine);
    else if (row->key == IMC_KEY_SIZE)
        message->size = imc_rows_number(engine);
    else if (row->key == IMC_KEY_DATE)
        imc_messages_date(engine);
    else if (row->key == IMC_KEY_FLAGS)
        imc_rows_malformed(engine);
    if (row->key != IMC_KEY_NONE)
        imc_fetch_has(row);
}

/* A value of the row: items in any order, and others among them. */
static void imc_messages_value(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    if (row->depth == 0)
        imc_rows_malformed(engine);
    else if (row->depth == 1 && row->field[1] % 2 == 0)
        imc_fetch_key(engine);
    else if (row->depth == 1)
        imc_messages_item(engine);
    else if (row->depth == 2 && row->key == IMC_KEY_FLAGS)
        row->flags = (uint8_t)(row->flags | imc_rows_flag(imc_rows_text(engine), row->length));
}

/* What the row lacks. */
static int imc_messages_missing(const imapconnect_row *row)
{
    static const int16_t codes[] = {IMAPCONNECT_E_FETCH_NO_UID, IMAPCONNECT_E_FETCH_NO_SIZE,
                                    IMAPCONNECT_E_FETCH_NO_DATE, IMAPCONNECT_E_FETCH_NO_FLAGS};
    unsigned i;
    for (i = 0; i < 4; i++)
        if ((row->has >> i & 1) == 0)
            return codes[i];
    return 0;
}

/* Is it one of those that were asked for? Other clients' changes may bring other rows. */
static int imc_messages_is_ours(const imapconnect_engine *engine, const imapconnect_message *message)
{
    const uint32_t *range = engine->writer.number;
    uint32_t number = range[2] == IMAPCONNECT_BY_UID ? message->uid : message->sequence;
    return number >= range[0] && (range[1] == 0 || number <= range[1]);
}

/* The row is whole. With neither size nor date it is no row, but news of another message's flags. */
static void imc_messages_row(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    imapconnect_message *message = &row->is.message;
    int code = imc_messages_missing(row);
    if (!imc_rows_are_pairs(engine))
        code = IMAPCONNECT_E_RESPONSE;
    else if ((row->has & (IMC_HAS_SIZE | IMC_HAS_DATE)) == 0)
        code = 0;
    else if (code == 0 && engine->reader.number - 1 >= engine->exists) /* 0 is none, either */
        code = IMAPCONNECT_E_FETCH_SEQUENCE;
    message->sequence = engine->reader.number;
    imc_rows_set_flags(&message->flags, row->flags);
    if (code == 0 && (row->has & IMC_HAS_SIZE) != 0 && imc_messages_is_ours(engine, message)) {
        row->count++;
        row->sum += message->sequence;
        imc_rows_given(engine, engine->taker.message(engine->user, message));
    }
    if (code != 0)
        imc_engine_fail(engine, code);
    memset(message, 0, sizeof *message);
}

/* A message that goes away would move the numbers of those behind it, so during FETCH the server must keep it: RFC 3501
   section 7.4.1. */
static void imc_messages_take(imapconnect_engine *engine, int what, const imc_slice *piece)
{
    (void)piece;
    if (what == IMC_TAKE_VALUE)
        imc_messages_value(engine);
    else if (what == IMC_TAKE_ROW)
        imc_messages_row(engine);
    else if (what == IMC_TAKE_NEWS && engine->reader.saw == IMC_SAW_EXPUNGE && !engine->reader.early &&
             engine->writer.number[2] == IMAPCONNECT_BY_SEQUENCE)
        imc_engine_fail(engine, IMAPCONNECT_E_FETCH_SEQUENCE);
}

/* By sequence it is known which rows there must be: so many, and with this sum, modulo 2^32. */
static int imc_messages_are_all(const imapconnect_row *row, uint32_t first, uint32_t last)
{
    uint32_t count = last - first + 1;
    uint32_t sum = count % 2 == 0 ? count / 2 * (first + last) : count * (first + count / 2);
    return row->count == count && row->sum == sum;
}

static void imc_messages_end(imapconnect_engine *engine)
{
    const uint32_t *range = engine->writer.number;
    int complete =
        range[2] == IMAPCONNECT_BY_UID || imc_messages_are_all(&engine->writer.out.in.row, range[0], range[1]);
    if (imc_rows_said(engine, "EXPUNGEISSUED"))
        complete = 0; /* some rows are of messages that are no more, and made up: RFC 5530 */
    imc_engine_finish(engine, complete ? IMAPCONNECT_OK : IMAPCONNECT_E_FETCH_INCOMPLETE);
}

static const struct imc_command imc_messages_rows = {"UID FETCH %n:%x (UID RFC822.SIZE INTERNALDATE FLAGS)",
                                                     "FETCH",
                                                     imc_messages_take,
                                                     imc_messages_end,
                                                     IMAPCONNECT_E_FETCH_REPLY,
                                                     IMC_PAIRS};

/* First NOOP, which brings the news. A number behind the last one would be BAD, and "10:*" in a mailbox of five is
   5:10: RFC 3501 section 9, seq-range. */
static void imc_messages_next(imapconnect_engine *engine)
{
    uint32_t *range = engine->writer.number;
    int by_sequence = range[2] == IMAPCONNECT_BY_SEQUENCE;
    if (engine->state != IMC_COMMAND) {
        imc_engine_run(engine, engine->command, "NOOP");
        return;
    }
    if (engine->exists == 0 || (by_sequence && range[0] > engine->exists)) {
        imc_engine_finish(engine, IMAPCONNECT_OK);
        return;
    }
    if (by_sequence && range[1] > engine->exists)
        range[1] = engine->exists;
    imc_engine_run(engine, &imc_messages_rows, imc_messages_rows.format + (by_sequence ? strlen("UID ") : 0));
    if (by_sequence && range[1] == 0)
        range[1] = engine->exists; /* which rows must come; "*" is written already */
}

static const struct imc_command imc_messages = {
    "%u%x%n", 0, 0, imc_messages_next, IMAPCONNECT_E_NOOP, IMC_LISTS | IMC_CHOOSES};

IMAPCONNECT_API int imapconnect_list_messages(imapconnect_session *session, int by, uint32_t first, uint32_t last,
                                              imapconnect_on_message on_message, void *user,
                                              imapconnect_list *responses)
{
    imapconnect_taker taker;
    taker.message = on_message;
    if (first == 0)
        first = 1;
    if (by < IMAPCONNECT_BY_SEQUENCE || by > IMAPCONNECT_BY_UID || (last != 0 && last < first))
        first = 0; /* is refused */
    return imc_session_call(session, &imc_messages, responses, taker, user, first, last, (uint32_t)by);
}

IMAPCONNECT_API int imapconnect_collect_message(void *user, const imapconnect_message *row)
{
    imapconnect_messages *all = (imapconnect_messages *)user;
    if (all->count < all->size)
        all->rows[all->count] = *row;
    all->count++;
    return 0;
}

/* -- receiving -- */

/* Two texts, as far as they must be the same, in any letter case. */
static int imc_recv_match(const char *a, const char *b, size_t count)
{
    size_t i;
    for (i = 0; i < count; i++)
        if (imc_bytes_upper(a[i]) != imc_bytes_upper(b[i]))
            return 0;
    return 1;
}

/* 1 when the item's name is the part that was asked for: "BODY[section]", and "<offset>" for a range. Of a section only
   the first word is compared, since servers write lists of header fields in their own way. */
static int imc_recv_is_part(imapconnect_engine *engine)
{
    const imapconnect_row *row = &engine->writer.out.in.row;
    const uint32_t *number = engine->writer.number;
    const char *text = imc_rows_text(engine), *section = engine->writer.text[1];
    size_t word = 0, end = row->length;
    char origin[12];
    if (number[2] != 0 &&
        (number[1] != 0 || text[end - 1] == '>')) { /* a range; some leave out that it begins at 0 */
        size_t digits = imc_bytes_decimal(origin + 1, number[1]);
        origin[0] = '<';
        origin[digits + 1] = '>';
        if (end < digits + 2 || memcmp(text + end - digits - 2, origin, digits + 2) != 0)
            return 0;
        end -= digits + 2;
    }
    while (section[word] != '\0' && section[word] != ' ')
        word++;
    if (row->cut || end < 6 + word || !imc_bytes_same(text, 5, "BODY[") || text[end - 1] != ']')
        return 0;
    if (text[5 + word] != (section[word] == ' ' ? ' ' : ']'))
        return 0;
    return imc_recv_match(text + 5, section, word);
}

/* An item's name. Another body than the one that was asked for would be taken for it. */
static void imc_recv_key(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    uint32_t uid = row->is.message.uid;
    imc_fetch_key(engine);
    if (row->length < 5 || !imc_bytes_same(imc_rows_text(engine), 5, "BODY["))
        return;
    if (row->finished || !imc_recv_is_part(engine) || (uid != 0 && uid != engine->writer.number[0])) {
        imc_engine_fail(engine, IMAPCONNECT_E_RECEIVE_ITEM);
        return;
    }
    row->key = IMC_KEY_BODY;
    imc_fetch_has(row);
    row->streams = row->finished = 1;
}

/* A value; a body that is no string is NIL. */
static void imc_recv_value(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    if (row->depth == 0 || (row->streams && (row->depth != 1 || (!row->string && !imc_rows_is(engine, "NIL")))))
        imc_rows_malformed(engine);
    else if (row->depth == 1 && row->field[1] % 2 == 0)
        imc_recv_key(engine);
    else if (row->depth == 1 && row->key == IMC_KEY_UID)
        row->is.message.uid = imc_rows_uid(engine);
    if (row->key == IMC_KEY_BODY && row->field[1] % 2 != 0)
        row->streams = 0;
}

/* Bytes of the message, straight from the read buffer. */
static void imc_recv_bytes(imapconnect_engine *engine, const imc_slice *piece)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    uint32_t most = engine->writer.number[2];
    size_t count = most == 0 ? piece->count : imc_bytes_least(piece->count, most - row->count);
    row->count += (uint32_t)count;
    if (count != 0 && engine->taker.sink(engine->user, piece->bytes, count) != 0)
        imc_engine_fail(engine, IMAPCONNECT_E_CANCELLED);
    else if (count < piece->count)
        imc_engine_fail(engine, IMAPCONNECT_E_RECEIVE_LENGTH);
}

/* The row is whole. UID FETCH must name the UID, and it may stand behind the body: section 6.4.8. */
static void imc_recv_row(imapconnect_engine *engine)
{
    imapconnect_row *row = &engine->writer.out.in.row;
    if (!imc_rows_are_pairs(engine) || row->streams || engine->reader.number == 0)
        imc_rows_malformed(engine);
    else if ((row->has & IMC_HAS_BODY) != 0 && row->is.message.uid != engine->writer.number[0])
        imc_engine_fail(engine, IMAPCONNECT_E_RECEIVE_ITEM);
    row->is.message.uid = 0;
}

static void imc_recv_take(imapconnect_engine *engine, int what, const imc_slice *piece)
{
    if (what == IMC_TAKE_VALUE)
        imc_recv_value(engine);
    else if (what == IMC_TAKE_BYTES)
        imc_recv_bytes(engine, piece);
    else if (what == IMC_TAKE_ROW)
        imc_recv_row(engine);
}

/* Of a message that somebody has just removed a server may send NIL, and says so: RFC 5530. */
static void imc_recv_end(imapconnect_engine *engine)
{
    const imapconnect_row *row = &engine->writer.out.in.row;
    int gone = row->count == 0 && imc_rows_said(engine, "EXPUNGEISSUED");
    imc_engine_finish(engine, row->finished && !gone ? IMAPCONNECT_OK : IMAPCONNECT_E_NO_MESSAGE);
}

static const struct imc_command imc_recv = {
    "UID FETCH %u (UID BODY%R[%B])", "FETCH", imc_recv_take, imc_recv_end, IMAPCONNECT_E_RECEIVE,
    IMC_STREAMS | IMC_PAIRS};
static const struct imc_command imc_recv_range = {"UID FETCH %u (UID BODY%R[%B]<%n.%n>)",
                                                  "FETCH",
                                                  imc_recv_take,
                                                  imc_recv_end,
                                                  IMAPCONNECT_E_RECEIVE,
                                                  IMC_STREAMS | IMC_PAIRS};

IMAPCONNECT_API int imapconnect_recv_part(imapconnect_session *session, uint32_t uid, const imapconnect_part *part,
                                          imapconnect_sink sink, void *user, imapconnect_list *responses)
{
    static const imapconnect_part all = {0, 0, 0, 0};
    imapconnect_taker taker;
    taker.sink = part != 0 ? sink : 0;
    if (part == 0)
        part = &all;
    return imc_session_call(session, part->offset != 0 || part->count != 0 ? &imc_recv_range : &imc_recv, responses,
                            taker, user, uid, part->mark_seen ? "" : ".PEEK", part->section != 0 ? part->section : "",
                            part->offset, part->count != 0 ? part->count : 0xffffffff);
}

IMAPCONNECT_API int imapconnect_recv_headers(imapconnect_session *session, uint32_t uid, imapconnect_sink sink,
                                             void *user, imapconnect_list *responses)
{
    static const imapconnect_part headers = {"HEADER", 0, 0, 0};
    return imapconnect_recv_part(session, uid, &headers, sink, user, responses);
}

IMAPCONNECT_API int imapconnect_recv_message(imapconnect_session *session, uint32_t uid, imapconnect_sink sink,
                                             void *user, imapconnect_list *responses)
{
    static const imapconnect_part message = {"", 0, 0, 0};
    return imapconnect_recv_part(session, uid, &message, sink, user, responses);
}

/* -- flags, expunge -- */

#define IMC_FLAG_DELETED 2u

static const struct imc_command imc_store_last = {0, 0, 0, 0, IMAPCONNECT_E_STORE, 0};
static const struct imc_command imc_expunge = {"EXPUNGE", 0, 0, 0, IMAPCONNECT_E_EXPUNGE, 0};

/* Those to be added, and then those to be removed; the third number holds them. */
static void imc_store_next(imapconnect_engine *engine)
{
    uint32_t *number = engine->writer.number;
    if (engine->state != IMC_COMMAND && number[1] != 0) {
        imc_engine_run(engine, engine->command, "UID STORE %n +FLAGS.SILENT %f");
        return;
    }
    number[1] = number[2];
    if (number[1] == 0)
        imc_engine_finish(engine, IMAPCONNECT_OK);
    else
        imc_engine_run(engine, &imc_store_last, "UID STORE %n -FLAGS.SILENT %f");
}

static const struct imc_command imc_store = {"%u%f%f", 0, 0, imc_store_next, IMAPCONNECT_E_STORE, IMC_CHOOSES};

IMAPCONNECT_API int imapconnect_set_message_flags(imapconnect_session *session, uint32_t uid, int answered,
                                                  int deleted, int draft, int flagged, int seen,
                                                  imapconnect_list *responses)
{
    const int wanted[] = {answered, deleted, draft, flagged, IMAPCONNECT_LEAVE, seen};
    uint32_t add = 0, off = 0;
    unsigned i;
    for (i = 0; i < 6; i++) {
        if (wanted[i] < IMAPCONNECT_REMOVE || wanted[i] > IMAPCONNECT_ADD)
            uid = 0; /* is refused */
        add |= (uint32_t)(wanted[i] == IMAPCONNECT_ADD) << i;
        off |= (uint32_t)(wanted[i] == IMAPCONNECT_REMOVE) << i;
    }
    return imc_session_call(session, &imc_store, responses, uid, add, off);
}

IMAPCONNECT_API int imapconnect_expunge_messages(imapconnect_session *session, imapconnect_list *responses)
{
    return imc_session_call(session, &imc_expunge, responses);
}

/* -- copy, move -- */

/* Without UIDPLUS there is no way to remove one message alone. */
static void imc_move_expunge(imapconnect_engine *engine)
{
    int by_uid = (engine->capabilities & IMC_CAN_UIDPLUS) != 0;
    imc_engine_run(engine, &imc_expunge, by_uid ? "UID EXPUNGE %n" : "EXPUNGE");
}

static const struct imc_command imc_move_store = {0, 0, 0, imc_move_expunge, IMAPCONNECT_E_STORE, 0};

static void imc_move_flag(imapconnect_engine *engine)
{
    engine->writer.number[1] = IMC_FLAG_DELETED;
    imc_engine_run(engine, &imc_move_store, "UID STORE %n +FLAGS.SILENT %f");
}

static const struct imc_command imc_copy = {"UID COPY %u %m", 0, 0, 0, IMAPCONNECT_E_COPY, 0};
static const struct imc_command imc_move_copy = {"UID COPY %u %m", 0, 0, imc_move_flag, IMAPCONNECT_E_COPY, 0};

/* The capabilities are known. */
static void imc_move_choose(imapconnect_engine *engine)
{
    if ((engine->capabilities & IMC_CAN_MOVE) != 0)
        imc_engine_run(engine, &imc_copy, engine->command->format);
    else if (engine->read_only)
        imc_engine_finish(engine, IMAPCONNECT_E_READ_ONLY); /* it would be copied, and stay */
    else
        imc_engine_run(engine, &imc_move_copy, imc_move_copy.format);
}

static const struct imc_command imc_move = {"UID MOVE %u %m",      0, 0, imc_move_choose, IMAPCONNECT_E_COPY,
                                            IMC_ASKS | IMC_CHOOSES};

IMAPCONNECT_API int imapconnect_copy_message(imapconnect_session *session, uint32_t uid, const char *mailbox,
                                             imapconnect_list *responses)
{
    return imc_session_call(session, &imc_copy, responses, uid, mailbox);
}

IMAPCONNECT_API int imapconnect_move_message(imapconnect_session *session, uint32_t uid, const char *mailbox,
                                             imapconnect_list *responses)
{
    return imc_session_call(session, &imc_move, responses, uid, mailbox);
}

#endif /* IMAPCONNECT_NO_MESSAGES */

#ifndef IMAPCONNECT_NO_SEARCH

/* >>search ------------------------------------------------------------------------------------------- *
 * UID SEARCH. */

static void imc_search_take(imapconnect_engine *engine, int what, const imc_slice *piece)
{
    uint32_t uid;
    (void)piece;
    if (what != IMC_TAKE_VALUE || engine->writer.out.in.row.depth != 0)
        return;
    uid = imc_rows_uid(engine);
    if (engine->error == 0)
        imc_rows_given(engine, engine->taker.uid(engine->user, uid));
}

static const struct imc_command imc_search = {
    "UID SEARCH %(CHARSET %H %)%Q%( %s%)", "SEARCH", imc_search_take, 0, IMAPCONNECT_E_NO, IMC_LISTS};

IMAPCONNECT_API int imapconnect_search(imapconnect_session *session, const char *criteria, const char *text,
                                       const char *charset, imapconnect_on_uid on_uid, void *user,
                                       imapconnect_list *responses)
{
    imapconnect_taker taker;
    taker.uid = on_uid;
    return imc_session_call(session, &imc_search, responses, taker, user, charset, criteria, text);
}

#endif /* IMAPCONNECT_NO_SEARCH */

#ifndef IMAPCONNECT_NO_APPEND

/* >>append ------------------------------------------------------------------------------------------- *
 * APPEND. The numbers of a call: the flags' bits, and the size. */

/* Flags into bits, but for those that are the server's to set. */
static uint32_t imc_append_flags(const imapconnect_flags *flags)
{
    return (flags->answered != 0) * 1u | (flags->deleted != 0) * 2u | (flags->draft != 0) * 4u |
           (flags->flagged != 0) * 8u | (flags->seen != 0) * 32u;
}

/* The capabilities must be known, so that the literal knows whether it has to wait. */
static const struct imc_command imc_append = {"APPEND %m %(%f %)%(%d %)%l", 0, 0, 0, IMAPCONNECT_E_NO,
                                              IMC_STREAMS | IMC_ASKS};

IMAPCONNECT_API int imapconnect_append(imapconnect_session *session, const char *mailbox,
                                       const imapconnect_flags *flags, const char *date, uint32_t size,
                                       imapconnect_source source, void *user, imapconnect_list *responses)
{
    imapconnect_taker taker;
    taker.source = source;
    return imc_session_call(session, &imc_append, responses, taker, user, mailbox,
                            flags != 0 ? imc_append_flags(flags) : 0u, date, size);
}

#endif /* IMAPCONNECT_NO_APPEND */

#ifndef IMAPCONNECT_NO_IDLE

/* >>idle --------------------------------------------------------------------------------------------- *
 * Waiting for news, RFC 2177: IDLE again and again, or NOOP. The numbers of a call, in the writer: the
 * milliseconds that are left, and those of the present wait. */

#define IMC_IDLE_RENEW 480000u /* ms; some servers hang up after nine minutes */
#define IMC_IDLE_POLL  60000u

/* Something has happened. */
static void imc_idle_take(imapconnect_engine *engine, int what, const imc_slice *piece)
{
    int news = engine->reader.saw - IMC_SAW_EXISTS + IMAPCONNECT_NEWS_EXISTS; /* both in one order */
    (void)piece;
    if (what != IMC_TAKE_NEWS)
        return;
    engine->heard = 1;
    if (engine->taker.news == 0 || engine->taker.news(engine->user, news, engine->reader.number) != 0)
        engine->enough = 1;
    if (engine->enough && engine->state == IMC_IDLE && engine->reader.tag[0] == '\0')
        imc_engine_finish(engine, 1); /* only we wait: it ends with this line, whatever else has come */
}

/* How long the next round is, of what is left. */
static void imc_idle_measure(imapconnect_engine *engine, uint32_t limit)
{
    uint32_t *left = engine->writer.number;
    left[1] = (uint32_t)imc_bytes_least(left[0], limit);
    left[0] -= left[1];
}

/* Rounds of IDLE and DONE: it begins, the time of a round is up, DONE is answered. */
static void imc_idle_round(imapconnect_engine *engine, int over)
{
    uint32_t renew = engine->config->idle_renew;
    if (engine->state == IMC_IDLE) {
        imc_engine_done(engine);
    } else if (engine->state == IMC_COMMAND && over) {
        imc_engine_finish(engine, engine->heard);
    } else {
        imc_idle_measure(engine, renew != 0 ? renew : IMC_IDLE_RENEW);
        imc_engine_idle(engine);
    }
}

/* The same with NOOP: it begins, the pause is over, NOOP is answered. The last thing is a NOOP, so that nothing of the
   wait is missed. */
static void imc_idle_poll(imapconnect_engine *engine, int over)
{
    uint32_t poll = engine->config->idle_poll;
    if (engine->enough || (over && engine->state == IMC_COMMAND)) {
        imc_engine_finish(engine, engine->heard);
    } else if (engine->state == IMC_COMMAND) {
        imc_idle_measure(engine, poll != 0 ? poll : IMC_IDLE_POLL);
        imc_engine_pause(engine);
    } else {
        imc_engine_run(engine, engine->command, "NOOP");
    }
}

static void imc_idle_next(imapconnect_engine *engine)
{
    int over = engine->enough || engine->writer.number[0] == 0;
    if ((engine->capabilities & IMC_CAN_IDLE) != 0)
        imc_idle_round(engine, over);
    else
        imc_idle_poll(engine, over);
}

static const struct imc_command imc_idle = {
    "%n", 0, imc_idle_take, imc_idle_next, IMAPCONNECT_E_NO, IMC_TAKES | IMC_ASKS | IMC_CHOOSES};

IMAPCONNECT_API int imapconnect_idle(imapconnect_session *session, uint32_t milliseconds, imapconnect_on_news on_news,
                                     void *user, imapconnect_list *responses)
{
    imapconnect_taker taker;
    taker.news = on_news;
    return imc_session_call(session, &imc_idle, responses, taker, user, milliseconds);
}

IMAPCONNECT_API void imapconnect_idle_stop(imapconnect_session *session)
{
    if (imc_session_exists(session))
        session->engine.enough = 1; /* every call begins with 0 */
}

#endif /* IMAPCONNECT_NO_IDLE */
#endif /* IMAPCONNECT_NO_COMMANDS */

/* Nothing of ours is left to get in the way of the file that included this. */
#undef IMC_ACTS
#undef IMC_APART
#undef IMC_ASKS
#undef IMC_CHOOSES
#undef IMC_FILLS
#undef IMC_TAKES
#undef IMC_LISTS
#undef IMC_STREAMS
#undef IMC_PAIRS
#undef IMC_PREFIXES
#undef IMC_MAX_ID
#undef IMC_MAX_NUMBER
#undef IMC_CAN_AUTH_CRAM_MD5
#undef IMC_ENDS
#undef IMC_EXAMINES
#undef IMC_SELECTS
#undef IMC_CAN_IDLE
#undef IMC_CAN_LITERAL_MINUS
#undef IMC_CAN_LITERAL_PLUS
#undef IMC_CAN_MOVE
#undef IMC_CAN_UIDPLUS
#undef IMC_FLAG_NAMES
#undef IMC_FLAG_DELETED
#undef IMC_HAS_BODY
#undef IMC_HAS_DATE
#undef IMC_HAS_SIZE
#undef IMC_HAS_TICKETS
#undef IMC_IDLE_POLL
#undef IMC_IDLE_RENEW
#undef IMC_NO_CHARACTER
#undef IMC_RAW_NAME
#undef IMC_RULE
#undef IMC_RULE_BASE
#undef IMC_UNKNOWN
#undef IMC_CAN_IMAP4REV1
#undef IMC_CAN_LENGTHS
#undef IMC_CAN_LISTED
#undef IMC_CAN_NOT_LOGIN
#undef IMC_CAN_STARTTLS
#undef IMC_CAPABILITIES
#undef IMC_CLOSED
#undef IMC_DER_ADDRESS
#undef IMC_DER_DNS
#undef IMC_DER_EXTENSION
#undef IMC_DER_OCTETS
#undef IMC_DER_OID
#undef IMC_DER_SEQUENCE
#undef IMC_DER_TIME
#undef IMC_DER_UTC_TIME
#undef IMC_DER_VERSION
#undef IMC_HAS_CRAM_MD5
#undef IMC_MAGIC
#undef IMC_OID_HASH
#undef IMC_OID_RSA
#undef IMC_MAX_LINES
#undef IMC_MAX_REPLY
#undef IMC_MD5_BLOCK
#undef IMC_MD5_DIGEST
#undef IMC_MECHANISMS
#undef IMC_EAI_NODATA
#undef IMC_SEND_FLAGS
#undef IMC_SLICE
#undef IMC_NUMBERED_WORDS
#undef IMC_TAGGED_WORDS
#undef IMC_STEP_WORKS
#undef IMC_TICKET_BINDING
#undef IMC_TICKET_CAME
#undef IMC_TICKET_FORMAT
#undef IMC_TICKET_HEAD
#undef IMC_TICKET_OFFERED
#undef IMC_TICKET_SECONDS
#undef IMC_TIMEOUT
#undef IMC_TLS_MAX_SILENT
#undef IMC_TLS_MIN_ECC
#undef IMC_TLS_MIN_RSA
#undef IMC_TLS_MIN_VERSION
#undef IMC_TLS_SUITES
#undef IMC_WRITE_ROOM
#undef IMC_CAN_AUTH_EXTERNAL
#undef IMC_CAN_AUTH_OAUTHBEARER
#undef IMC_CAN_AUTH_PLAIN
#undef IMC_CAN_AUTH_SCRAM_1
#undef IMC_CAN_AUTH_SCRAM_256
#undef IMC_CAN_AUTH_SCRAM_256_PLUS
#undef IMC_CAN_AUTH_XOAUTH2
#undef IMC_CAN_SASL_IR
#undef IMC_BARE
#undef IMC_HASH_BLOCK
#undef IMC_HASH_KIND
#undef IMC_HASH_FRAMES
#undef IMC_HAS_SCRAM
#undef IMC_HAS_SCRAM_SHA_1
#undef IMC_MAX_ITERATIONS
#undef IMC_MAX_TRIES
#undef IMC_MIN_ITERATIONS
#undef IMC_SCRAM_BARE
#undef IMC_SCRAM_EXPORTED
#undef IMC_SCRAM_NONCE
#undef IMC_SCRAM_SALT
#undef IMC_SCRAM_SLICE

#endif /* IMAPCONNECT_IMPLEMENTATION */

/* ---- Part IV: the licence --------------------------------------------------------------------------

   This file is yours under either of the two, whichever you prefer. wolfSSL has a licence of its own.

   MIT No Attribution

   Permission is hereby granted, free of charge, to any person obtaining a copy of this software and
   associated documentation files (the "Software"), to deal in the Software without restriction,
   including without limitation the rights to use, copy, modify, merge, publish, distribute,
   sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is
   furnished to do so.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
   NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
   NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES
   OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN
   CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

   The Unlicense

   This is free and unencumbered software released into the public domain.

   Anyone is free to copy, modify, publish, use, compile, sell, or distribute this software, either in
   source code form or as a compiled binary, for any purpose, commercial or non-commercial, and by any
   means.

   In jurisdictions that recognize copyright laws, the author or authors of this software dedicate any
   and all copyright interest in the software to the public domain. We make this dedication for the
   benefit of the public at large and to the detriment of our heirs and successors. We intend this
   dedication to be an overt act of relinquishment in perpetuity of all present and future rights to
   this software under copyright law.

   THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT
   NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND
   NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY,
   WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
   SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

   For more information, please refer to <https://unlicense.org/>. */
