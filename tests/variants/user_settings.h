/* wolfSSL for variants.sh: as small as a device would have it, but on a PC. What makes a variant (NO_MD5, NO_FILESYSTEM,
   SINGLE_THREADED, WOLFSSL_STATIC_MEMORY and WOLFSSL_NO_MALLOC) comes from the command line. */

#ifndef USER_SETTINGS_H
#define USER_SETTINGS_H

/* TLS 1.3 and 1.2 as a client, ECDHE. */
#define WOLFSSL_TLS13
#define HAVE_TLS_EXTENSIONS
#define HAVE_SUPPORTED_CURVES
#define HAVE_SNI
#define HAVE_EXTENDED_MASTER
#define HAVE_HKDF
#define NO_OLD_TLS
#define NO_WOLFSSL_SERVER
#define NO_SESSION_CACHE
#define NO_PSK

/* AES-GCM, ChaCha20-Poly1305, RSA and ECDSA. */
#define HAVE_AESGCM
#define GCM_SMALL
#define NO_AES_CBC
#define HAVE_CHACHA
#define HAVE_POLY1305
#define HAVE_ONE_TIME_AUTH
#define HAVE_ECC
#define HAVE_ECC384
#define ECC_TIMING_RESISTANT
#define TFM_TIMING_RESISTANT
#define WC_RSA_BLINDING
#define WC_RSA_PSS
#define WOLFSSL_SHA384
#define WOLFSSL_SHA512
#define WOLFSSL_SP_MATH_ALL

/* What imapconnect.h needs. */
#define WOLFSSL_ALWAYS_VERIFY_CB
#define WOLFSSL_VERIFY_CB_ALL_CERTS
#define WOLFSSL_ALT_CERT_CHAINS

#define NO_DH
#define NO_DSA
#define NO_RC4
#define NO_MD4
#define NO_DES3
#define NO_PWDBASED

#endif
