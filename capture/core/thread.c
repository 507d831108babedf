#include "capture/core/thread.h"

#if defined(VMT_THREAD_ON_STACK)
enum vmt_thread_base vmt_thread_base;
#else
__thread struct vmt_thread vmt_thread_state __attribute__((tls_model("initial-exec")));
#endif
