/*
 * sanitized.h: is this test built with AddressSanitizer or ThreadSanitizer?
 *
 * Both map terabytes, so that limits on memory are left off and figures of whole processes are
 * theirs.
 */
#ifndef VMT_SANITIZED_H
#define VMT_SANITIZED_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

#endif
