/* wolfSSL for a device that reads mail with imapconnect.h: compile wolfSSL and your program with
   -DWOLFSSL_USER_SETTINGS and this folder among the include paths. Take it as it is, and change the last part.

   What is in: TLS 1.3 and 1.2 as a client, ECDHE, AES-GCM and ChaCha20-Poly1305, certificates with RSA up to 4096 bits
   and ECDSA on P-256 and P-384, SHA-256 and SHA-384, server names, records of 1 KB. What is not in makes the image
   smaller, and imapconnect.h refuses it anyway: older versions, CBC, static RSA, finite-field DH, SHA-1, PSK. */

#ifndef USER_SETTINGS_H
#define USER_SETTINGS_H

/* ---- without these imapconnect.h does not compile, or verifies less ---- */

#define WOLFSSL_ALWAYS_VERIFY_CB    /* it looks at the server's certificate itself, ... */
#define WOLFSSL_VERIFY_CB_ALL_CERTS /* ... and at each that leads to the CA, before wolfSSL keeps it */
#define WOLFSSL_ALT_CERT_CHAINS     /* a server that sends one certificate too many is no enemy */
#define HAVE_SNI                    /* a server with many names must know which one is meant */

/* ---- the protocol ---- */

#define WOLFSSL_TLS13
#define HAVE_TLS_EXTENSIONS
#define HAVE_SUPPORTED_CURVES
#define HAVE_EXTENDED_MASTER /* RFC 7627, for TLS 1.2 */
#define HAVE_HKDF
#define HAVE_MAX_FRAGMENT /* RFC 6066: records of 1 KB need buffers of 1 KB, see main.c */
#define NO_OLD_TLS
#define NO_WOLFSSL_SERVER
#define NO_SESSION_CACHE /* imapconnect.h resumes no session: a resumed one shows no certificate */
#define NO_PSK

/* ---- the algorithms ---- */

#define HAVE_ECC
#define HAVE_ECC384
#define ECC_USER_CURVES /* P-256 and those named */
#define ALT_ECC_SIZE    /* big numbers of a curve in as many bytes as they need, not in those of RSA */
#define ECC_TIMING_RESISTANT
#define TFM_TIMING_RESISTANT
#define WC_RSA_BLINDING
#define WC_RSA_PSS              /* TLS 1.3 signs with it where the certificate has an RSA key */
#define WOLFSSL_RSA_PUBLIC_ONLY /* signatures are verified, none is made: a key has two numbers and not eight */
#define WOLFSSL_NO_CLIENT_AUTH  /* the password says who we are, not a certificate */
#define WOLFSSL_RSA_VERIFY_INLINE
#define WOLFSSL_SHA384
#define USE_SLOW_SHA512 /* a third of the size */
#define HAVE_AESGCM
#define GCM_TABLE_4BIT           /* GCM_SMALL: 512 bytes less heap for each of two keys, and messages four times as slow */
#define WOLFSSL_AES_SMALL_TABLES /* without it messages are twice as fast, and the image 11 KB larger */
#define HAVE_CHACHA
#define HAVE_POLY1305
#define HAVE_ONE_TIME_AUTH
#define NO_AES_CBC
#define NO_AES_192
#define NO_DES3
#define NO_DH
#define NO_DSA
#define NO_MD4
#define NO_RC4
#define NO_SHA
#define NO_PWDBASED
#define NO_PKCS8
#define NO_PKCS12
/* MD5 stays for CRAM-MD5 alone. With NO_MD5 the login is LOGIN, inside TLS. */

/* Big numbers: code for RSA with 2048, 3072 and 4096 bits, P-256 and P-384 alone, in the assembler of ARMv7-M
   (sp_cortexm.c). For a Cortex-M0, or no ARM, take out the two lines with ASM, and sp_c32.c in place of sp_cortexm.c: the
   image is 10 KB smaller, the heap 2.5 KB, and to connect takes more than five times as long. With WOLFSSL_SP_MATH_ALL in
   place of it all any size works, for 10 KB more heap, and WOLFSSL_RSA_PUBLIC_ONLY has to go: wolfSSL 5.5 does not
   compile with both. */
#define WOLFSSL_SP_ASM
#define WOLFSSL_SP_ARM_CORTEX_M_ASM
#define WOLFSSL_SP_MATH
#define WOLFSSL_SP_SMALL
#define WOLFSSL_HAVE_SP_RSA
#define WOLFSSL_SP_4096
#define WOLFSSL_HAVE_SP_ECC
#define WOLFSSL_SP_384
#define SP_WORD_SIZE 32

/* ---- the machine: no threads, no files, no system ---- */

#define SINGLE_THREADED
#define NO_FILESYSTEM
#define NO_WRITEV
#define WOLFSSL_USER_IO           /* imapconnect.h brings the bytes */
#define WOLFSSL_SMALL_STACK       /* what is large goes to the heap, and comes back */
#define WOLFSSL_GENERAL_ALIGNMENT 4
#define NO_ERROR_STRINGS
#define NO_WOLFSSL_DIR
#define XMALLOC_USER /* heap.c has XMALLOC, XREALLOC and XFREE */
#define USER_TIME
#define XTIME                     firmware_time /* board.c: seconds since 1970; certificates are checked against it */
#define CUSTOM_RAND_GENERATE_SEED firmware_seed /* board.c; a product brings its own */
int firmware_seed(unsigned char *bytes, unsigned int count);

#endif
