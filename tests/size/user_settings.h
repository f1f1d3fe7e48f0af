/* A small wolfSSL, as a device would build it: what size.sh and freestanding.sh compile the header with. */

#ifndef USER_SETTINGS_H
#define USER_SETTINGS_H

/* The platform: no files, no threads, no sockets, no libc beyond its memory and string functions. */
#define SINGLE_THREADED
#define NO_FILESYSTEM
#define NO_WRITEV
#define WOLFSSL_USER_IO
#define NO_ERROR_STRINGS

/* TLS 1.3 and 1.2, as a client, with ECDHE. */
#define WOLFSSL_TLS13
#define HAVE_TLS_EXTENSIONS
#define HAVE_SUPPORTED_CURVES
#define HAVE_SNI
#define HAVE_EXTENDED_MASTER
#define HAVE_HKDF
#define NO_WOLFSSL_SERVER
#define NO_OLD_TLS
#define NO_PSK
#define NO_SESSION_CACHE

/* AES-GCM, ChaCha20-Poly1305. */
#define HAVE_AESGCM
#define GCM_SMALL
#define NO_AES_CBC
#define HAVE_CHACHA
#define HAVE_POLY1305
#define HAVE_ONE_TIME_AUTH

/* X.509 with RSA and ECDSA. */
#define HAVE_ECC
#define ECC_TIMING_RESISTANT
#define TFM_TIMING_RESISTANT
#define WC_RSA_BLINDING
#define WC_RSA_PSS
#define WOLFSSL_SHA384
#define WOLFSSL_SHA512
#define WOLFSSL_ALWAYS_VERIFY_CB
#define WOLFSSL_VERIFY_CB_ALL_CERTS
#define WOLFSSL_ALT_CERT_CHAINS

/* What nobody needs here. MD5 stays: CRAM-MD5 is made of it. */
#define NO_DH
#define NO_DSA
#define NO_RC4
#define NO_MD4
#define NO_DES3
#define NO_PWDBASED

#endif
