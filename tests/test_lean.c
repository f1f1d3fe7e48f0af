/* All dialogues of the documented order, each in its simplest form, by a header that knows no other mechanism: who leaves
   config.auth and config.tls out has to get the same on the wire. */

#define ONCE
#define IMAPCONNECT_NO_SASL
#define IMAPCONNECT_NO_TLS_OPTIONS
#include "test_transcripts.c"
