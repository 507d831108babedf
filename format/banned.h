/*
 * banned.h: calls that code inside other people's processes never makes
 *
 * Forced into every file of preload/, collect/ and format/ (-include). First come the system's own
 * headers; then each banned function is declared once
 * more as unavailable: every use of it, a call or its address, is a compile error from there on.
 * The names stay usable for members, macros and for defining a hook of that name, which is why
 * attributes are used here and not #pragma GCC poison.
 *
 * Banned: what allocates, what locks (stdio, locale, pthread), what reads the environment, what
 * aborts, and libc's wrappers of system calls (they set errno, are cancellation points and may be
 * hooked, by us too): base/sys.h has those.
 *
 * Not banned: memcpy memmove memset memcmp strlen (the compiler emits them anyway), dlsym and
 * dl_iterate_phdr (preload/libc/real.c and capture/modules/modules.c; never on the event path),
 * sched_getcpu, clock_gettime (vDSO).
 *
 * -DVMT_HOOKS_FILE, given on the command line (a #define in the file would come too late), lifts
 * the names of hooked functions alone. Files that only define hooks need nothing; it is for a file
 * that has to mention a hook's address.
 */
#ifndef VMT_BANNED_H
#define VMT_BANNED_H

/* Keeps glibc from defining some of these functions inline, which would come before the ban. */
#ifndef __NO_INLINE__
#define __NO_INLINE__ 1
#endif

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <malloc.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

/* Functions of glibc's that other C libraries have without declaring them, or not at all. musl has
 * macros in the place of those for large files, or nothing: off_t has 64 bits here anyway. */
#undef fallocate64
#undef ftruncate64
#undef mmap64
#undef open64
int fallocate64(int fd, int mode, off_t offset, off_t length);
int ftruncate64(int fd, off_t length);
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset);
int open64(const char *path, int flags, ...);
void *pvalloc(size_t size);
int malloc_trim(size_t pad);
int mallopt(int parameter, int value);

#define VMT_BANNED(name, instead)                                                                  \
	extern __typeof__(name) name __attribute__((unavailable("vmtrace: " instead)))

#ifndef VMT_HOOKS_FILE
VMT_BANNED(malloc, "no allocation here");
VMT_BANNED(calloc, "no allocation here");
VMT_BANNED(realloc, "no allocation here");
VMT_BANNED(reallocarray, "no allocation here");
VMT_BANNED(free, "no allocation here");
VMT_BANNED(posix_memalign, "no allocation here");
VMT_BANNED(aligned_alloc, "no allocation here");
VMT_BANNED(memalign, "no allocation here");
VMT_BANNED(valloc, "no allocation here");
VMT_BANNED(pvalloc, "no allocation here");
VMT_BANNED(malloc_trim, "no allocation here");
VMT_BANNED(mmap, "use base/sys.h");
VMT_BANNED(mmap64, "use base/sys.h");
VMT_BANNED(munmap, "use base/sys.h");
VMT_BANNED(mremap, "use base/sys.h");
VMT_BANNED(madvise, "use base/sys.h");
VMT_BANNED(posix_madvise, "use base/sys.h");
VMT_BANNED(mprotect, "use base/sys.h");
VMT_BANNED(brk, "use base/sys.h");
VMT_BANNED(sbrk, "use base/sys.h");
VMT_BANNED(mlock, "use base/sys.h");
VMT_BANNED(munlock, "use base/sys.h");
VMT_BANNED(mlockall, "use base/sys.h");
VMT_BANNED(munlockall, "use base/sys.h");
VMT_BANNED(shmat, "use base/sys.h");
VMT_BANNED(shmdt, "use base/sys.h");
VMT_BANNED(fork, "use base/sys.h");
VMT_BANNED(clone, "use base/sys.h");
VMT_BANNED(daemon, "use base/sys.h");
VMT_BANNED(execve, "use base/sys.h");
VMT_BANNED(execv, "use base/sys.h");
VMT_BANNED(execvp, "use base/sys.h");
VMT_BANNED(pthread_create, "no thread of ours");
VMT_BANNED(dlopen, "only through preload/libc/real.h, while the library initialises");
VMT_BANNED(dlclose, "nothing is unloaded");
VMT_BANNED(prctl, "use base/sys.h");
VMT_BANNED(syscall, "sets errno: use base/sys.h");
VMT_BANNED(exit, "never ends the process");
VMT_BANNED(_exit, "use base/sys.h");
VMT_BANNED(quick_exit, "never ends the process");
#endif

VMT_BANNED(strdup, "no allocation here");
VMT_BANNED(strndup, "no allocation here");
VMT_BANNED(malloc_usable_size, "no allocation here");
VMT_BANNED(mallopt, "not our allocator");

VMT_BANNED(printf, "no stdio here");
VMT_BANNED(fprintf, "no stdio here");
VMT_BANNED(vprintf, "no stdio here");
VMT_BANNED(vfprintf, "no stdio here");
VMT_BANNED(dprintf, "no stdio here");
VMT_BANNED(vdprintf, "no stdio here");
VMT_BANNED(sprintf, "no stdio here");
VMT_BANNED(vsprintf, "no stdio here");
VMT_BANNED(snprintf, "no stdio here");
VMT_BANNED(vsnprintf, "no stdio here");
VMT_BANNED(asprintf, "no stdio here");
VMT_BANNED(vasprintf, "no stdio here");
VMT_BANNED(scanf, "no stdio here");
VMT_BANNED(fscanf, "no stdio here");
VMT_BANNED(sscanf, "no stdio here");
VMT_BANNED(fopen, "no stdio here");
VMT_BANNED(fdopen, "no stdio here");
VMT_BANNED(freopen, "no stdio here");
VMT_BANNED(fclose, "no stdio here");
VMT_BANNED(fread, "no stdio here");
VMT_BANNED(fwrite, "no stdio here");
VMT_BANNED(fgets, "no stdio here");
VMT_BANNED(fputs, "no stdio here");
VMT_BANNED(fflush, "no stdio here");
VMT_BANNED(getline, "no stdio here");
VMT_BANNED(puts, "no stdio here");
VMT_BANNED(perror, "no stdio here");
VMT_BANNED(popen, "no stdio here");
VMT_BANNED(system, "starts no program");
VMT_BANNED(syslog, "no stdio here");

VMT_BANNED(getenv, "the environment is read once, by capture/core/config.c, without libc");
VMT_BANNED(secure_getenv, "the environment is read once, by capture/core/config.c, without libc");
VMT_BANNED(setenv, "locks and allocates");
VMT_BANNED(putenv, "locks and allocates");
VMT_BANNED(unsetenv, "locks and allocates");

VMT_BANNED(strtol, "locale and errno: use base/text.h");
VMT_BANNED(strtoul, "locale and errno: use base/text.h");
VMT_BANNED(strtoll, "locale and errno: use base/text.h");
VMT_BANNED(strtoull, "locale and errno: use base/text.h");
VMT_BANNED(strtod, "locale and errno: use base/text.h");
VMT_BANNED(atoi, "locale and errno: use base/text.h");
VMT_BANNED(atol, "locale and errno: use base/text.h");
VMT_BANNED(strerror, "locale");
VMT_BANNED(strtok, "static state");
VMT_BANNED(qsort, "may allocate");
VMT_BANNED(rand, "takes a lock");
VMT_BANNED(random, "takes a lock");
VMT_BANNED(localtime, "takes a lock");
VMT_BANNED(strftime, "locale");

VMT_BANNED(abort, "an impossible state turns tracing off: vmt_guard_go_inert");
VMT_BANNED(atexit, "nothing of ours stays in the target");
VMT_BANNED(raise, "no signals of ours");
VMT_BANNED(kill, "no signals of ours");
VMT_BANNED(signal, "no signal handler of ours");
VMT_BANNED(sigaction, "no signal handler of ours");
VMT_BANNED(sigprocmask, "use base/sys.h");

VMT_BANNED(pthread_mutex_init, "no locks");
VMT_BANNED(pthread_mutex_lock, "no locks");
VMT_BANNED(pthread_mutex_trylock, "no locks");
VMT_BANNED(pthread_mutex_unlock, "no locks");
VMT_BANNED(pthread_rwlock_rdlock, "no locks");
VMT_BANNED(pthread_rwlock_wrlock, "no locks");
VMT_BANNED(pthread_rwlock_unlock, "no locks");
VMT_BANNED(pthread_spin_lock, "no locks");
VMT_BANNED(pthread_cond_wait, "no locks");
VMT_BANNED(pthread_cond_signal, "no locks");
VMT_BANNED(pthread_cond_broadcast, "no locks");
VMT_BANNED(pthread_once, "no locks");
VMT_BANNED(pthread_key_create, "no pthread key of ours");
VMT_BANNED(pthread_setspecific, "no pthread key of ours");
VMT_BANNED(pthread_atfork, "no handler of ours");
VMT_BANNED(pthread_join, "no thread of ours");
VMT_BANNED(pthread_getattr_np, "allocates and reads /proc by stdio");
VMT_BANNED(sem_wait, "no locks");
VMT_BANNED(sem_post, "no locks");

VMT_BANNED(open, "use base/sys.h");
VMT_BANNED(open64, "use base/sys.h");
VMT_BANNED(openat, "use base/sys.h");
VMT_BANNED(creat, "use base/sys.h");
VMT_BANNED(read, "use base/sys.h");
VMT_BANNED(write, "use base/sys.h");
VMT_BANNED(pread, "use base/sys.h");
VMT_BANNED(pwrite, "use base/sys.h");
VMT_BANNED(close, "use base/sys.h");
VMT_BANNED(lseek, "use base/sys.h");
VMT_BANNED(ftruncate, "use base/sys.h");
VMT_BANNED(fallocate, "use base/sys.h");
VMT_BANNED(posix_fallocate, "use base/sys.h");
VMT_BANNED(mincore, "use base/sys.h");
VMT_BANNED(unlink, "use base/sys.h");
VMT_BANNED(access, "use base/sys.h");
VMT_BANNED(dup2, "use base/sys.h");
VMT_BANNED(setsid, "use base/sys.h");
VMT_BANNED(waitpid, "use base/sys.h");
VMT_BANNED(usleep, "use base/sys.h");
VMT_BANNED(sleep, "use base/sys.h");
VMT_BANNED(nanosleep, "use base/sys.h");

#undef VMT_BANNED

#endif
