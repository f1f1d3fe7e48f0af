/* imapconnect.h on this device; -DIMAPCONNECT_CONFIG_H='"imapconnect_config.h"' for every file that includes it. */

#ifndef FIRMWARE_IMAPCONNECT_CONFIG_H
#define FIRMWARE_IMAPCONNECT_CONFIG_H

#define IMAPCONNECT_NO_SOCKETS /* the transport is lwip_transport.c, the clock board.c */
#define IMAPCONNECT_NO_STRINGS /* the numbers do; with the texts it is 9 KB more */

/* What this program does not use. APPEND, SEARCH and the functions about other mailboxes stay out of the image anyway
   where the linker drops unused sections; so do these with a linker that does not. */
#define IMAPCONNECT_NO_MAILBOXES
#define IMAPCONNECT_NO_SEARCH
#define IMAPCONNECT_NO_APPEND

/* It logs in by CRAM-MD5, without a certificate of its own. For most providers SCRAM or a token is wanted: then leave the
   first of these out, and set config.auth. */
#define IMAPCONNECT_NO_SASL
#define IMAPCONNECT_NO_TLS_OPTIONS

#endif
