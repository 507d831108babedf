/* Stacks as Go 1.19 to 1.26 have them. */
#include "tools/model/go/go_classes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define DEPTH 12u

/* Names, innermost first; those of C code begin with '-'. */
struct stack {
	enum vmt_class_id class;
	const char *names[DEPTH];
};

static size_t
make_roles(enum vmt_go_role roles[DEPTH], const struct stack *stack)
{
	size_t count = 0;

	for (; count < DEPTH && stack->names[count]; count++) {
		const char *name = stack->names[count];
		bool is_c = name[0] == '-';
		struct vmt_symbol frame = {.function = is_c ? name + 1 : name, .is_go = !is_c};

		if (is_c && !name[1])
			frame.function = NULL;
		roles[count] = vmt_go_classes_role(&frame);
	}
	return count;
}

#define MMAP "-x_cgo_mmap", "runtime.callCgoMmap", "runtime.mmap.func1", "runtime.mmap"

static void
the_innermost_reason_decides(void **state)
{
	static const struct stack stacks[] = {
	    {VMT_CLASS_GO_HEAP,
	     {MMAP, "runtime.sysReserveOS", "runtime.sysReserve", "runtime.(*mheap).sysAlloc",
	      "runtime.(*mheap).grow", "main.leak"}},
	    {VMT_CLASS_GO_HEAP,
	     {MMAP, "runtime.sysMapOS", "runtime.sysMap", "runtime.(*mheap).grow",
	      "runtime.(*mheap).allocSpan", "runtime.systemstack", "main.leak"}},
	    /* the arenas' index, not an arena */
	    {VMT_CLASS_GO_METADATA,
	     {MMAP, "runtime.sysAllocOS", "runtime.(*mheap).sysAlloc", "runtime.(*mheap).grow"}},
	    {VMT_CLASS_GO_METADATA,
	     {MMAP, "runtime.sysAllocOS", "runtime.sysAlloc", "runtime.persistentalloc1",
	      "runtime.persistentalloc.func1", "runtime.(*mheap).sysAlloc"}},
	    {VMT_CLASS_GO_METADATA,
	     {MMAP, "runtime.sysMapOS", "runtime.sysMap", "runtime.(*pageAlloc).sysGrow",
	      "runtime.(*pageAlloc).grow", "runtime.(*mheap).grow"}},
	    {VMT_CLASS_GO_METADATA,
	     {MMAP, "runtime.sysReserve", "runtime.(*scavengeIndex).sysInit"}},
	    {VMT_CLASS_GO_METADATA,
	     {"runtime.sysMmap", "runtime.mmap", "runtime.sysAllocOS", "runtime.sysAlloc",
	      "runtime.newArenaMayUnlock", "runtime.newMarkBits"}},
	    {VMT_CLASS_THREAD_STACKS,
	     {"runtime.sysMmap", "runtime.mmap", "runtime.sysAlloc", "runtime.newosproc0"}},
	    {VMT_CLASS_GO_OTHER,
	     {MMAP, "runtime.sysAllocOS", "runtime.sysAlloc", "runtime.traceBufFlush"}},
	    /* the runtime asks by the same package */
	    {VMT_CLASS_GO_OTHER, {"internal/runtime/syscall.Syscall6", "runtime.ready"}},
	    /* Go's own linker knows C functions, too */
	    {VMT_CLASS_GO_HEAP,
	     {"x_cgo_mmap", "runtime.mmap.func1", "runtime.sysMap", "runtime.(*mheap).grow"}},
	    /* the stack ended early, and its C part has no names */
	    {VMT_CLASS_GO_OTHER, {"-x_cgo_mmap"}},
	    {VMT_CLASS_GO_HEAP,
	     {"-", "runtime.callCgoMmap", "runtime.mmap", "runtime.sysReserve",
	      "runtime.(*mheap).sysAlloc"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(stacks) / sizeof(*stacks); i++) {
		enum vmt_go_role roles[DEPTH];
		size_t count = make_roles(roles, &stacks[i]);

		assert_int_equal(vmt_go_classes_of_stack(roles, count, VMT_CLASS_MMAP),
				 stacks[i].class);
	}
}

static void
calls_of_c_code_are_not_gos(void **state)
{
	static const struct stack stacks[] = {
	    {VMT_CLASS_MMAP,
	     {"-grab", "-_cgo_0123_Cfunc_grab", "runtime.asmcgocall", "runtime.cgocall",
	      "main._Cfunc_grab", "main.worker"}},
	    {VMT_CLASS_MMAP, {"-", "-", "runtime.asmcgocall", "runtime.cgocall", "main.worker"}},
	    {VMT_CLASS_MMAP, {"-main"}},
	    {VMT_CLASS_MMAP, {NULL}},
	    /* C calls Go, and Go's runtime maps */
	    {VMT_CLASS_GO_HEAP,
	     {MMAP, "runtime.sysMap", "runtime.(*mheap).grow", "main.callback",
	      "runtime.cgocallbackg", "-call", "runtime.cgocall", "main.main"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(stacks) / sizeof(*stacks); i++) {
		enum vmt_go_role roles[DEPTH];
		size_t count = make_roles(roles, &stacks[i]);

		assert_int_equal(vmt_go_classes_of_stack(roles, count, VMT_CLASS_MMAP),
				 stacks[i].class);
	}
}

static void
calls_of_other_go_code_are_not_the_runtimes(void **state)
{
	static const struct stack stacks[] = {
	    {VMT_CLASS_MMAP,
	     {"internal/runtime/syscall.Syscall6", "syscall.RawSyscall6", "syscall.Syscall6",
	      "syscall.mmap", "syscall.Mmap", "main.open"}},
	    {VMT_CLASS_MMAP,
	     {"runtime/internal/syscall.Syscall6", "syscall.RawSyscall6", "main.open",
	      "runtime.doInit", "runtime.main"}},
	    {VMT_CLASS_MMAP,
	     {"internal/runtime/syscall/linux.Syscall6", "golang.org/x/sys/unix.mmap"}},
	    {VMT_CLASS_FILES, {"internal/runtime/syscall.Syscall6", "syscall.mmap"}},
	    /* the stack ended early */
	    {VMT_CLASS_MMAP, {"internal/runtime/syscall.Syscall6", "syscall.RawSyscall6"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(stacks) / sizeof(*stacks); i++) {
		enum vmt_go_role roles[DEPTH];
		size_t count = make_roles(roles, &stacks[i]);

		assert_int_equal(vmt_go_classes_of_stack(roles, count,
							 stacks[i].class == VMT_CLASS_FILES
							     ? VMT_CLASS_FILES
							     : VMT_CLASS_MMAP),
				 stacks[i].class);
	}
}

static void
threads_are_whose_that_starts_them(void **state)
{
	static const struct stack stacks[] = {
	    {VMT_CLASS_THREAD_STACKS,
	     {"-_cgo_try_pthread_create", "-_cgo_sys_thread_start", "-x_cgo_thread_start",
	      "runtime.asmcgocall", "runtime.newm1"}},
	    {VMT_CLASS_THREAD_STACKS,
	     {"-", "-", "runtime.asmcgocall", "runtime.newm1", "runtime.newm", "runtime.startm"}},
	    {VMT_CLASS_THREAD_STACKS,
	     {"-start_pool", "-_cgo_0123_Cfunc_start", "runtime.asmcgocall", "runtime.cgocall",
	      "main._Cfunc_start", "main.main"}},
	    {VMT_CLASS_THREAD_STACKS, {"-main"}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(stacks) / sizeof(*stacks); i++) {
		enum vmt_go_role roles[DEPTH];
		size_t count = make_roles(roles, &stacks[i]);

		assert_int_equal(vmt_go_classes_of_thread(roles, count, VMT_CLASS_THREAD_STACKS),
				 stacks[i].class);
	}
}

static void
pages_may_have_names(void **state)
{
	static const struct {
		const char *path;
		enum vmt_class_id class;
	} cases[] = {
	    {"[anon: Go: heap]", VMT_CLASS_GO_HEAP},
	    {"[anon: Go: heap reservation]", VMT_CLASS_GO_HEAP},
	    {"[anon: Go: heap index]", VMT_CLASS_GO_METADATA},
	    {"[anon: Go: page summary]", VMT_CLASS_GO_METADATA},
	    {"[anon: Go: OS thread stack]", VMT_CLASS_THREAD_STACKS},
	    {"[anon: Go: trace buffer]", VMT_CLASS_GO_OTHER},
	    {"[anon: Go: something new]", VMT_CLASS_GO_OTHER},
	    {"[anon: Go: unused]", VMT_CLASSES},
	    {"[anon: Go: ]", VMT_CLASSES},
	    {"[anon: Go: ", VMT_CLASSES},
	    {"[anon: glibc: malloc]", VMT_CLASSES},
	    {"[heap]", VMT_CLASSES},
	    {"", VMT_CLASSES},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		assert_int_equal(vmt_go_classes_of_name(cases[i].path, strlen(cases[i].path)),
				 cases[i].class);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_innermost_reason_decides),
	    cmocka_unit_test(calls_of_c_code_are_not_gos),
	    cmocka_unit_test(calls_of_other_go_code_are_not_the_runtimes),
	    cmocka_unit_test(threads_are_whose_that_starts_them),
	    cmocka_unit_test(pages_may_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
