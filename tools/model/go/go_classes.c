#include "tools/model/go/go_classes.h"

#include <string.h>

/* What stands for a reason in a page's name, "[anon: Go: heap]" (runtime/mem.go, mheap.go ...). */
static const struct {
	const char *name;
	enum vmt_class_id class;
} names[] = {
    {"heap", VMT_CLASS_GO_HEAP},
    {"heap reservation", VMT_CLASS_GO_HEAP},
    {"user arena chunk", VMT_CLASS_GO_HEAP},
    {"heap index", VMT_CLASS_GO_METADATA},
    {"heap metadata", VMT_CLASS_GO_METADATA},
    {"immortal metadata", VMT_CLASS_GO_METADATA},
    {"page alloc", VMT_CLASS_GO_METADATA},
    {"page alloc index", VMT_CLASS_GO_METADATA},
    {"page summary", VMT_CLASS_GO_METADATA},
    {"scavenge index", VMT_CLASS_GO_METADATA},
    {"allspans array", VMT_CLASS_GO_METADATA},
    {"gc bits", VMT_CLASS_GO_METADATA},
    {"GC span queue", VMT_CLASS_GO_METADATA},
    {"profiler hash buckets", VMT_CLASS_GO_METADATA},
    {"OS thread stack", VMT_CLASS_THREAD_STACKS},
    {"goroutine stack (system)", VMT_CLASS_THREAD_STACKS},
    /* What a range is at the moment, not whose it is. */
    {"used", VMT_CLASSES},
    {"unused", VMT_CLASSES},
};

enum vmt_go_role
vmt_go_classes_role(const struct vmt_symbol *frame)
{
	enum vmt_go_role role = frame->function
				    ? vmt_go_roles_of_name(frame->function, strlen(frame->function))
				    : VMT_GO_ROLE_CROSSING;

	if (frame->is_go)
		return frame->function ? role : VMT_GO_ROLE_OTHER;
	/* C code of runtime/cgo has a role; other names mean nothing there. */
	return role == VMT_GO_ROLE_RUNTIME && !strchr(frame->function, '.') ? role
									    : VMT_GO_ROLE_CROSSING;
}

enum vmt_class_id
vmt_go_classes_of_stack(const enum vmt_go_role *roles, size_t count, enum vmt_class_id otherwise)
{
	bool at_once = false;
	bool is_runtime = false;

	for (size_t i = 0; i < count; i++) {
		switch (roles[i]) {
		case VMT_GO_ROLE_TO_C:
		case VMT_GO_ROLE_OTHER:
			return is_runtime ? VMT_CLASS_GO_OTHER : otherwise;
		case VMT_GO_ROLE_ARENA:
			return at_once ? VMT_CLASS_GO_METADATA : VMT_CLASS_GO_HEAP;
		case VMT_GO_ROLE_METADATA:
			return VMT_CLASS_GO_METADATA;
		case VMT_GO_ROLE_STACK:
			return VMT_CLASS_THREAD_STACKS;
		case VMT_GO_ROLE_AT_ONCE:
			at_once = true;
			is_runtime = true;
			break;
		case VMT_GO_ROLE_RUNTIME:
			is_runtime = true;
			break;
		default:
			break;
		}
	}
	return is_runtime ? VMT_CLASS_GO_OTHER : otherwise;
}

enum vmt_class_id
vmt_go_classes_of_thread(const enum vmt_go_role *roles, size_t count, enum vmt_class_id otherwise)
{
	for (size_t i = 0; i < count && roles[i] != VMT_GO_ROLE_TO_C; i++)
		if (roles[i] == VMT_GO_ROLE_STACK || roles[i] == VMT_GO_ROLE_RUNTIME)
			return VMT_CLASS_THREAD_STACKS;
	return otherwise;
}

enum vmt_class_id
vmt_go_classes_of_name(const char *path, size_t path_bytes)
{
	static const char prefix[] = "[anon: Go: ";
	const char *name = path + sizeof(prefix) - 1;
	size_t length = path_bytes - sizeof(prefix); /* without the bracket that ends it */

	if (path_bytes <= sizeof(prefix) || memcmp(path, prefix, sizeof(prefix) - 1) != 0)
		return VMT_CLASSES;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (strlen(names[i].name) == length && memcmp(names[i].name, name, length) == 0)
			return names[i].class;
	return VMT_CLASS_GO_OTHER;
}
