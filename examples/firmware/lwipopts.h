/* lwIP as small as this program lets it be: one TCP connection, names by DNS, no threads. Where a number stands without
   a word, lwIP's opt.h explains it. */

#ifndef LWIPOPTS_H
#define LWIPOPTS_H

#define NO_SYS               1
#define SYS_LIGHTWEIGHT_PROT 0 /* lwIP runs from the main loop alone, never from an interrupt */
#define LWIP_NETCONN         0
#define LWIP_SOCKET          0
#define LWIP_STATS           0

#define LWIP_IPV4           1
#define LWIP_IPV6           0
#define LWIP_RAW            0
#define LWIP_UDP            1 /* for DNS */
#define LWIP_DNS            1
#define DNS_TABLE_SIZE      1
#define DNS_MAX_NAME_LENGTH 254
#define DNS_MAX_RETRIES     2
#define LWIP_DHCP           0 /* the address is fixed, see main.c: a product will want DHCP, some 4 KB of flash */
#define IP_REASSEMBLY       0
#define IP_FRAG             0

/* The names that are not asked for: what /etc/hosts is elsewhere. The tests give the server's address with it. */
#define DNS_LOCAL_HOSTLIST             1
#define DNS_LOCAL_HOSTLIST_IS_DYNAMIC  1
#define MEMP_NUM_LOCALHOSTLIST         1
#define DNS_LOCAL_HOSTLIST_MAX_NAMELEN 64

/* A window of two segments, 1 KB: the server sends no more until it was read. A larger one is faster. */
#define TCP_MSS            512
#define TCP_WND            1024
#define TCP_SND_BUF        1024
#define TCP_SND_QUEUELEN   6
#define TCP_QUEUE_OOSEQ    0
#define LWIP_TCP_KEEPALIVE 1

/* The memory of it all. A frame with a full segment takes one pbuf of the pool. */
#define MEM_ALIGNMENT           4
#define MEM_SIZE                2600
#define MEMP_NUM_TCP_PCB        2 /* one may still be closing when the next one opens */
#define MEMP_NUM_TCP_PCB_LISTEN 1
#define MEMP_NUM_TCP_SEG        8
#define MEMP_NUM_UDP_PCB        1
#define MEMP_NUM_PBUF           4
#define PBUF_POOL_SIZE          6
#define PBUF_POOL_BUFSIZE       588

#endif
