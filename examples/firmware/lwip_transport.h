/* A transport for imapconnect.h over the raw API of lwIP (NO_SYS or not): take this file and lwip_transport.c.

       static lwip_transport link;
       lwip_transport_init(&link, &config.transport, poll_network);

   `poll` moves packets, and runs lwIP's timers: with NO_SYS it is netif input and sys_check_timeouts(). It is called
   from every function of the transport, so that a blocking call needs no other thread, and must not block.

   What lwipopts.h needs: LWIP_TCP, LWIP_DNS where servers have names, LWIP_CALLBACK_API. The receive window is TCP_WND:
   bytes that imapconnect.h has not read yet stay in pbufs and close it. All calls in lwIP's one context. */

#ifndef LWIP_TRANSPORT_H
#define LWIP_TRANSPORT_H

#include "lwip/ip_addr.h"
#include "lwip/pbuf.h"
#include "lwip/tcp.h"

#include "imapconnect.h"

typedef struct lwip_transport {
    void (*poll)(void);
    struct tcp_pcb *pcb;   /* 0 when there is no connection, or no more */
    struct pbuf *received; /* not read yet */
    ip_addr_t address;     /* of the host, once it was looked up */
    uint8_t state;
    uint8_t looking_up; /* lwIP will call back, whatever happens meanwhile: there is no way to cancel that */
    uint8_t ended;      /* the peer sends no more */
    int error;          /* the code that every later call gets */
} lwip_transport;

/* Prepares a transport, and fills in all of `transport`. The lwip_transport must live as long as lwIP: the answer to a
   look-up may come after the session was closed. */
void lwip_transport_init(lwip_transport *link, imapconnect_transport *transport, void (*poll)(void));

#endif
