/*
 * hooks_load.c: dlopen, dlmopen and dlclose: the module list changes.
 *
 * glibc's dlopen asks for its return address: from the file that it lies in come $ORIGIN, RPATH and
 * RUNPATH of the search, and the namespace. A C wrapper would make libvmtrace.so that file and so
 * change which library a name finds. So the hooks of dlopen and dlmopen are written in assembly:
 * they keep the arguments, call a C function that does what is to be done before, put everything
 * back as it was, and jump. The loader sees the program's own call, and no frame of ours is left to
 * do anything afterwards.
 *
 * What a dlopen has brought is therefore noticed later: the stack walker meets an unknown address
 * and asks _dl_find_object, which takes no lock; the list itself is brought up to date at the next
 * safe point (hooks_load.h). dlclose does not ask who calls it, so its hook is an ordinary one.
 */
#include "preload/hooks/hooks_load.h"

#include "base/atomic.h"
#include "capture/core/guard.h"
#include "capture/modules/modules.h"
#include "preload/libc/real.h"

#include <errno.h>

/* Looks still due. A dlopen sets it as it begins, and nothing tells when it has ended: a look may
 * come while the module is still on its way, so several safe points look. One that finds nothing
 * new is cheap. */
#define LOOKS_AFTER_OPEN 16u
static uint32_t due;

/* The owner for whom they are due. A fork child must not look on its parent's behalf: another
 * thread, which is not here, may have held the loader's list lock when it was made. */
static uint32_t due_generation;

static void
look_if_due(void)
{
	uint32_t looks = vmt_atomic_load_relaxed(&due);

	if (looks == 0 || vmt_atomic_load_relaxed(&due_generation) != vmt_guard_owner->generation)
		return;
	vmt_atomic_store_relaxed(&due, looks - 1);
	vmt_modules_refresh();
}

void
vmt_hooks_load_settle(void)
{
	if (!vmt_modules_has_finder())
		look_if_due();
}

static void
prepare_load(void)
{
	int saved_errno = errno;

	if (vmt_guard_enter()) {
		look_if_due();
		vmt_guard_leave();
	}
	vmt_atomic_store_relaxed(&due_generation, vmt_guard_owner->generation);
	vmt_atomic_store_relaxed(&due, LOOKS_AFTER_OPEN);
	errno = saved_errno;
}

/* Where the program has no dlopen to be found (a C library whose libdl is not loaded). */
static void *
open_nothing(void)
{
	return NULL;
}

/* Called from the assembly below: what to jump to. */
__attribute__((used)) static void *
prepare_dlopen(void)
{
	const struct vmt_real *real = vmt_real();

	prepare_load();
	return real->dlopen ? (void *)(uintptr_t)real->dlopen : (void *)(uintptr_t)open_nothing;
}

__attribute__((used)) static void *
prepare_dlmopen(void)
{
	const struct vmt_real *real = vmt_real();

	prepare_load();
	return real->dlmopen ? (void *)(uintptr_t)real->dlmopen : (void *)(uintptr_t)open_nothing;
}

#if defined(__x86_64__)
/* A frame of our own while the C function runs (three arguments, 16-byte aligned), then none. */
#define FORWARD(name)                                                                              \
	__asm__(".pushsection .text\n"                                                             \
		".globl " #name "\n"                                                               \
		".type " #name ", @function\n" #name ":\n"                                         \
		"	.cfi_startproc\n"                                                                \
		"	endbr64\n"                                                                       \
		"	pushq %rbp\n"                                                                    \
		"	.cfi_adjust_cfa_offset 8\n"                                                      \
		"	.cfi_rel_offset %rbp, 0\n"                                                       \
		"	movq %rsp, %rbp\n"                                                               \
		"	.cfi_def_cfa_register %rbp\n"                                                    \
		"	pushq %rdi\n"                                                                    \
		"	pushq %rsi\n"                                                                    \
		"	pushq %rdx\n"                                                                    \
		"	pushq %rdx\n"                                                                    \
		"	call prepare_" #name "\n"                                                  \
		"	popq %rdx\n"                                                                     \
		"	popq %rdx\n"                                                                     \
		"	popq %rsi\n"                                                                     \
		"	popq %rdi\n"                                                                     \
		"	popq %rbp\n"                                                                     \
		"	.cfi_def_cfa %rsp, 8\n"                                                          \
		"	.cfi_restore %rbp\n"                                                             \
		"	jmp *%rax\n"                                                                     \
		"	.cfi_endproc\n"                                                                  \
		".size " #name ", . - " #name "\n"                                                 \
		".popsection\n")
#elif defined(__aarch64__)
#define FORWARD(name)                                                                              \
	__asm__(".pushsection .text\n"                                                             \
		".globl " #name "\n"                                                               \
		".type " #name ", %function\n" #name ":\n"                                         \
		"	.cfi_startproc\n"                                                                \
		"	hint #25\n" /* paciasp */                                                  \
		"	stp x29, x30, [sp, #-48]!\n"                                                     \
		"	.cfi_def_cfa_offset 48\n"                                                        \
		"	.cfi_offset x29, -48\n"                                                          \
		"	.cfi_offset x30, -40\n"                                                          \
		"	mov x29, sp\n"                                                                   \
		"	stp x0, x1, [sp, #16]\n"                                                         \
		"	str x2, [sp, #32]\n"                                                             \
		"	bl prepare_" #name "\n"                                                    \
		"	mov x16, x0\n"                                                                   \
		"	ldp x0, x1, [sp, #16]\n"                                                         \
		"	ldr x2, [sp, #32]\n"                                                             \
		"	ldp x29, x30, [sp], #48\n"                                                       \
		"	.cfi_restore x29\n"                                                              \
		"	.cfi_restore x30\n"                                                              \
		"	.cfi_def_cfa_offset 0\n"                                                         \
		"	hint #29\n" /* autiasp */                                                  \
		"	br x16\n"                                                                        \
		"	.cfi_endproc\n"                                                                  \
		".size " #name ", . - " #name "\n"                                                 \
		".popsection\n")
#else
#error "no way to forward a call unseen on this machine"
#endif

FORWARD(dlopen);
FORWARD(dlmopen);

static void
look_now(void)
{
	if (!vmt_guard_enter())
		return;
	vmt_modules_refresh();
	vmt_guard_leave();
}

/* Not inside while the real call runs: destructors of the module allocate and free, and theirs are
 * calls like any other. */
VMT_EXPORT int
dlclose(void *handle)
{
	const struct vmt_real *real = vmt_real();
	int saved_errno = errno;
	int result;

	if (!real->dlclose)
		return -1;
	look_now();
	vmt_modules_begin_unload();
	errno = saved_errno;
	result = real->dlclose(handle);
	saved_errno = errno;
	vmt_modules_end_unload();
	look_now();
	errno = saved_errno;
	return result;
}
