#include "tools/model/space/classes.h"

#include <assert.h>

const char *
vmt_classes_name(enum vmt_class_id id)
{
	static const char *const names[VMT_CLASSES] = {
	    [VMT_CLASS_MMAP] = "mmap",
	    [VMT_CLASS_MALLOC_LIVE] = "malloc live",
	    [VMT_CLASS_MALLOC_RETAINED] = "malloc retained",
	    [VMT_CLASS_MALLOC] = "malloc, live or free",
	    [VMT_CLASS_INHERITED] = "inherited at fork",
	    [VMT_CLASS_HEAP] = "heap",
	    [VMT_CLASS_ANONYMOUS] = "anonymous memory",
	    [VMT_CLASS_THREAD_STACKS] = "thread stacks",
	    [VMT_CLASS_ENDED_STACKS] = "ended threads' stacks",
	    [VMT_CLASS_MAIN_STACK] = "main stack",
	    [VMT_CLASS_PROGRAM] = "program and libraries",
	    [VMT_CLASS_FILES] = "mapped files",
	    [VMT_CLASS_SHARED] = "shared memory",
	    [VMT_CLASS_HUGETLB] = "huge pages (hugetlb)",
	    [VMT_CLASS_GO_HEAP] = "Go heap",
	    [VMT_CLASS_GO_LARGE] = "Go large objects",
	    [VMT_CLASS_GO_SMALL] = "Go small objects",
	    [VMT_CLASS_GO_FREE_SLOTS] = "Go free slots",
	    [VMT_CLASS_GO_STACKS] = "Go stacks",
	    [VMT_CLASS_GO_FREE] = "Go free spans",
	    [VMT_CLASS_GO_RELEASED] = "Go released",
	    [VMT_CLASS_GO_METADATA] = "Go metadata",
	    [VMT_CLASS_GO_OTHER] = "Go other",
	    [VMT_CLASS_KERNEL] = "kernel",
	    [VMT_CLASS_TRACER] = "vmtrace",
	    [VMT_CLASS_UNATTRIBUTED] = "unattributed",
	};

	assert(id < VMT_CLASSES);
	return names[id];
}
