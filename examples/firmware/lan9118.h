/* A driver of lwIP for the LAN9118, without interrupts. */

#ifndef LAN9118_H
#define LAN9118_H

#include "lwip/netif.h"

/* For netif_add(); `state` of the netif is the address of the chip. */
err_t lan9118_init(struct netif *netif);

/* Hands over what has arrived. Call it often. */
void lan9118_poll(struct netif *netif);

#endif
