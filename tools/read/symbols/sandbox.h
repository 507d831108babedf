/*
 * sandbox.h: confines a process to computing and answering.
 *
 * It keeps the descriptors that it has, and gets no other: the limit on them is 0, which holds
 * whatever the kernel. Where the kernel takes a seccomp filter, all calls but those that manage
 * memory, read, and talk over a socket that is open are refused with EPERM. No way back.
 */
#ifndef VMT_SANDBOX_H
#define VMT_SANDBOX_H

void vmt_sandbox_enter(void);

#endif
