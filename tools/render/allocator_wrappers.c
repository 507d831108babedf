#include "tools/render/allocator_wrappers.h"

#include <stdlib.h>
#include <string.h>

/* The longest name below has fewer bytes. */
#define NAME_BYTES 96u

/* By strcmp, for bsearch. */
/* clang-format off */
static const char *const names[] = {
    "AlignedAllocRealloc", "AllocSetAlloc", "AllocSetAllocChunkFromBlock",
    "AllocSetAllocFromNewBlock", "AllocSetAllocLarge", "AllocSetContextCreateInternal",
    "AllocSetRealloc", "AllocateHeap", "Arena::grow", "BumpAlloc", "BumpAllocFromNewBlock",
    "BumpAllocLarge", "BumpContextCreate", "CALL_MMAP", "CRYPTO_aligned_alloc", "CRYPTO_calloc",
    "CRYPTO_clear_realloc", "CRYPTO_malloc", "CRYPTO_malloc_array", "CRYPTO_memdup",
    "CRYPTO_realloc", "CRYPTO_realloc_array", "CRYPTO_secure_malloc", "CRYPTO_secure_zalloc",
    "CRYPTO_strdup", "CRYPTO_strndup", "CRYPTO_zalloc", "Curl_memdup", "Curl_memdup0",
    "Curl_saferealloc", "DefaultSysAllocator::Alloc", "GC_alloc_large", "GC_allocobj",
    "GC_collect_or_expand", "GC_expand_hp_inner", "GC_generic_malloc", "GC_generic_malloc_inner",
    "GC_malloc", "GC_malloc_atomic", "GC_malloc_kind", "GC_malloc_kind_global", "GC_realloc",
    "GC_unix_get_mem", "GC_unix_mmap_get_mem", "GenerationAlloc", "GenerationAllocFromNewBlock",
    "GenerationAllocLarge", "GenerationContextCreate", "GenerationRealloc", "MEM_ROOT::Alloc",
    "MEM_ROOT::AllocBlock", "MEM_ROOT::AllocSlow", "MEM_ROOT::ForceNewBlock", "MemoryContextAlloc",
    "MemoryContextAllocAligned", "MemoryContextAllocExtended", "MemoryContextAllocHuge",
    "MemoryContextAllocZero", "MemoryContextAllocZeroAligned", "MemoryContextStrdup",
    "MmapSysAllocator::Alloc", "OPENSSL_malloc", "OPENSSL_memdup", "OPENSSL_realloc",
    "OPENSSL_strdup", "OPENSSL_zalloc", "Perl_calloc", "Perl_malloc", "Perl_more_bodies",
    "Perl_realloc", "Perl_safesyscalloc", "Perl_safesysmalloc", "Perl_safesysrealloc",
    "PyMem_Calloc", "PyMem_Malloc", "PyMem_RawCalloc", "PyMem_RawMalloc", "PyMem_RawRealloc",
    "PyMem_Realloc", "PyObject_Calloc", "PyObject_Malloc", "PyObject_Realloc",
    "PyType_GenericAlloc", "PyUnstable_Object_GC_NewWithExtraData", "QArrayData::allocate",
    "QArrayData::allocate1", "QArrayData::allocate2", "QArrayData::reallocateUnaligned",
    "QListData::detach", "QListData::detach_grow", "QListData::realloc", "QListData::realloc_grow",
    "ReallocateHeap", "SbrkSysAllocator::Alloc", "SlabAlloc", "SlabAllocFromNewBlock",
    "SlabAllocSetupNewChunk", "SlabContextCreate", "SlabRealloc", "TCMalloc_SystemAlloc",
    "Tcl_Alloc", "Tcl_AttemptAlloc", "Tcl_AttemptRealloc", "Tcl_DbCkalloc", "Tcl_Realloc",
    "TclpAlloc", "TclpRealloc", "_PyMem_ArenaAlloc", "_PyMem_DebugCalloc", "_PyMem_DebugMalloc",
    "_PyMem_DebugRawAlloc", "_PyMem_DebugRawCalloc", "_PyMem_DebugRawMalloc",
    "_PyMem_DebugRawRealloc", "_PyMem_DebugRealloc", "_PyMem_MiCalloc", "_PyMem_MiMalloc",
    "_PyMem_MiRealloc", "_PyMem_RawCalloc", "_PyMem_RawMalloc", "_PyMem_RawRealloc",
    "_PyMem_RawStrdup", "_PyMem_RawWcsdup", "_PyMem_Strdup", "_PyObject_Alloc",
    "_PyObject_ArenaMalloc", "_PyObject_ArenaMmap", "_PyObject_Calloc", "_PyObject_GC_Alloc",
    "_PyObject_GC_Calloc", "_PyObject_GC_Malloc", "_PyObject_GC_New", "_PyObject_GC_NewVar",
    "_PyObject_GC_Resize", "_PyObject_Malloc", "_PyObject_MiCalloc", "_PyObject_MiMalloc",
    "_PyObject_MiRealloc", "_PyObject_New", "_PyObject_NewVar", "_PyObject_Realloc",
    "_PyType_AllocNoTrack", "__brk", "__default_morecore", "__expand_heap", "__glibc_morecore",
    "__libc_calloc", "__libc_malloc", "__libc_malloc_impl", "__libc_memalign", "__libc_realloc",
    "__malloc_alloc_meta", "__mmap", "__mmap64", "__mremap", "__pool_alloc", "__sbrk", "__talloc",
    "__talloc_with_prefix", "__zend_calloc", "__zend_malloc", "__zend_realloc", "__zend_strdup",
    "_ecalloc", "_emalloc", "_emalloc_huge", "_emalloc_large", "_erealloc", "_erealloc2",
    "_estrdup", "_estrndup", "_int_malloc", "_int_memalign", "_int_realloc", "_mid_memalign",
    "_obstack_begin", "_obstack_begin_1", "_obstack_begin_worker", "_obstack_newchunk",
    "_safe_emalloc", "_safe_erealloc", "_safe_malloc", "_safe_realloc", "_talloc", "_talloc_array",
    "_talloc_memdup", "_talloc_realloc", "_talloc_zero", "_talloc_zero_array", "aligned_alloc",
    "alloc_group", "alloc_root", "alloc_slot", "allocate_from_new_pool",
    "allocate_full_cpp_throw_oom", "allocate_full_malloc_oom", "allocate_stack",
    "allocator_add_slab", "allocator_memalign", "apr_allocator_alloc", "apr_palloc",
    "apr_palloc_debug", "apr_pcalloc", "apr_pcalloc_debug", "apr_pmemdup", "apr_pool_create_ex",
    "apr_pstrdup", "apr_pstrmemdup", "apr_pstrndup", "arena_bin_malloc_hard",
    "arena_bin_malloc_no_fresh_slab", "arena_bin_malloc_with_fresh_slab",
    "arena_cache_bin_fill_small", "arena_choose_hard", "arena_extent_alloc_large", "arena_get2",
    "arena_malloc_hard", "arena_malloc_small", "arena_map_get", "arena_map_mark_used",
    "arena_palloc", "arena_ralloc", "arena_slab_alloc", "arena_slab_alloc_hard",
    "arena_tcache_fill_small", "av_buffer_alloc", "av_buffer_allocz", "av_buffer_pool_get",
    "av_buffer_realloc", "av_calloc", "av_dynarray2_add", "av_dynarray_add",
    "av_dynarray_add_nofree", "av_fast_malloc", "av_fast_mallocz", "av_fast_padded_malloc",
    "av_fast_padded_mallocz", "av_fast_realloc", "av_malloc", "av_malloc_array", "av_mallocz",
    "av_mallocz_array", "av_memdup", "av_realloc", "av_realloc_array", "av_realloc_f",
    "av_reallocp", "av_reallocp_array", "av_strdup", "av_strndup", "b0_alloc", "base_alloc",
    "base_alloc_edata", "base_alloc_impl", "base_block_alloc", "base_extent_alloc", "base_map",
    "brk", "calloc", "caml_alloc_for_heap", "caml_mem_map", "caml_stat_alloc",
    "caml_stat_alloc_noexc", "caml_stat_calloc_noexc", "caml_stat_resize", "caml_stat_resize_noexc",
    "caml_stat_strdup", "curl_dbg_calloc", "curl_dbg_malloc", "curl_dbg_realloc", "curl_dbg_strdup",
    "dbMallocRawFinish", "dbReallocFinish", "default_memalloc", "default_pool_malloc",
    "do_allocate_full", "do_malloc", "do_malloc_or_cpp_alloc", "do_malloc_pages", "do_memalign",
    "do_realloc_with_callback", "do_xmalloc", "do_xmallocz", "ecache_alloc", "ecache_alloc_grow",
    "ecalloc", "ehooks_alloc", "ehooks_default_alloc", "ehooks_default_alloc_impl", "emalloc",
    "erealloc", "estrdup", "event_mm_calloc_", "event_mm_malloc_", "event_mm_realloc_",
    "event_mm_strdup_", "extent_alloc_core", "extent_alloc_default", "extent_alloc_default_impl",
    "extent_alloc_mmap", "extent_alloc_retained", "extent_alloc_wrapper", "extent_grow_retained",
    "extent_recycle", "g_aligned_alloc", "g_aligned_alloc0", "g_calloc", "g_malloc", "g_malloc0",
    "g_malloc0_n", "g_malloc_n", "g_memdup", "g_memdup2", "g_realloc", "g_realloc_n",
    "g_slice_alloc", "g_slice_alloc0", "g_slice_copy", "g_strdup", "g_strdup_inline", "g_strndup",
    "g_try_malloc", "g_try_malloc0", "g_try_malloc0_n", "g_try_malloc_n", "g_try_realloc",
    "g_try_realloc_n", "gc_alloc", "ggc_alloc_rtx", "ggc_internal_alloc",
    "ggc_internal_cleared_alloc", "ggc_realloc", "greedy_realloc", "greedy_realloc0",
    "greedy_realloc_append", "ialloc", "iallocztm", "imalloc", "imalloc_body", "imalloc_no_sample",
    "imalloc_sample", "irealloc", "ireallocarray", "isc__mem_allocate", "isc__mem_get",
    "isc__mem_reallocate", "isc__mem_reget", "isc__mem_strdup", "je_aligned_alloc", "je_calloc",
    "je_malloc", "je_mallocx", "je_memalign", "je_posix_memalign", "je_rallocx", "je_realloc",
    "l_alloc", "large_malloc", "large_palloc", "large_ralloc", "lj_alloc_f", "lj_alloc_malloc",
    "lj_alloc_realloc", "lj_mem_grow", "lj_mem_newgco", "lj_mem_realloc", "llvm::SmallVectorBase",
    "llvm::allocate_buffer", "llvm::safe_calloc", "llvm::safe_malloc", "llvm::safe_realloc",
    "luaM_growaux_", "luaM_malloc_", "luaM_realloc_", "luaM_saferealloc_", "luaM_shrinkvector_",
    "luaM_toobig", "malloc", "malloc0_multiply", "mallocWithAlarm", "malloc_multiply", "mallocx",
    "mem_heap_alloc", "mem_heap_create_block_func", "mem_pool_alloc", "mem_pool_alloc_block",
    "mem_pool_calloc", "memalign", "memdup_multiply", "memdup_suffix0", "memdup_suffix0_multiply",
    "mmap", "mmap64", "mmap_map32", "mmap_probe", "mono_valloc", "monoeg_malloc", "monoeg_malloc0",
    "monoeg_realloc", "mremap", "multi_alloc_root", "my_malloc", "my_memdup", "my_multi_malloc",
    "my_raw_malloc", "my_realloc", "my_strdup", "my_strndup", "mymalloc", "mymemdup", "myrealloc",
    "mystrdup", "mystrndup", "new_arena", "new_heap", "ngx_alloc", "ngx_calloc", "ngx_create_pool",
    "ngx_memalign", "ngx_palloc", "ngx_palloc_block", "ngx_palloc_large", "ngx_palloc_small",
    "ngx_pcalloc", "ngx_pmemalign", "ngx_pnalloc", "ngx_prealloc", "ngx_slab_alloc",
    "ngx_slab_alloc_locked", "ngx_slab_alloc_pages", "ngx_slab_calloc", "ngx_slab_calloc_locked",
    "node::Calloc", "node::Malloc", "node::MallocOrDie", "node::NodeArrayBufferAllocator::Allocate",
    "node::NodeArrayBufferAllocator::AllocateUninitialized", "node::Realloc",
    "node::UncheckedCalloc", "node::UncheckedMalloc", "node::UncheckedRealloc", "objspace_xcalloc",
    "objspace_xmalloc0", "objspace_xrealloc", "os::attempt_reserve_memory_at", "os::commit_memory",
    "os::malloc", "os::pd_commit_memory", "os::pd_reserve_memory", "os::realloc",
    "os::reserve_memory", "os::strdup", "os::strdup_check_oom", "os_pages_map", "pa_alloc",
    "pac_alloc", "pac_alloc_impl", "pac_alloc_new_guarded", "pac_alloc_real", "pages_map", "palloc",
    "palloc0", "palloc_aligned", "palloc_extended", "pcache1Alloc", "pcache1AllocPage",
    "pcache1InitBulk", "pg_malloc", "pg_malloc0", "pg_malloc_extended", "pg_malloc_internal",
    "pg_realloc", "pg_strdup", "pnstrdup", "pool_alloc_nocache", "pool_alloconly_malloc",
    "pool_get_from_os", "pool_get_from_os_noinc", "pool_system_malloc", "posix_memalign", "pstrdup",
    "pymalloc_alloc", "pymalloc_realloc", "qMallocAligned", "qReallocAligned", "rb_gc_impl_calloc",
    "rb_gc_impl_malloc", "rb_gc_impl_realloc", "rb_xcalloc_mul_add", "rb_xmalloc_mul_add",
    "rb_xrealloc_mul_add", "realloc", "realloc_multiply", "repalloc", "repalloc0",
    "repalloc_extended", "repalloc_huge", "rpl_calloc", "rpl_malloc", "rpl_realloc", "rte_malloc",
    "rte_malloc_socket", "rte_realloc", "rte_zmalloc", "rte_zmalloc_socket", "rtree_leaf_alloc",
    "rtree_leaf_elm_lookup_hard", "rtree_node_alloc", "ruby_mimcalloc", "ruby_mimmalloc",
    "ruby_strdup", "ruby_xcalloc", "ruby_xcalloc_body", "ruby_xmalloc", "ruby_xmalloc0",
    "ruby_xmalloc2", "ruby_xmalloc2_body", "ruby_xmalloc_body", "ruby_xrealloc", "ruby_xrealloc2",
    "ruby_xrealloc2_body", "ruby_xrealloc_body", "safe_calloc", "safe_malloc", "safe_realloc",
    "sbrk", "sf_malloc", "sf_realloc", "sh_xmalloc", "sh_xrealloc", "slab_allocator_alloc_chunk",
    "sqlite3DbMallocRaw", "sqlite3DbMallocRawNN", "sqlite3DbMallocZero", "sqlite3DbRealloc",
    "sqlite3DbReallocOrFree", "sqlite3DbStrDup", "sqlite3DbStrNDup", "sqlite3Malloc",
    "sqlite3MallocZero", "sqlite3MemMalloc", "sqlite3MemRealloc", "sqlite3PageMalloc",
    "sqlite3Realloc", "sqlite3_malloc", "sqlite3_malloc64", "sqlite3_realloc", "sqlite3_realloc64",
    "sysmalloc", "sysmalloc_mmap", "t_malloc0", "t_malloc_real", "talloc_named", "talloc_strdup",
    "tc_calloc", "tc_malloc", "tc_memalign", "tc_new", "tc_newarray", "tc_realloc",
    "tcache_alloc_small_hard", "tcache_create_explicit", "tcache_init",
    "thread_memory_magazine1_alloc", "tor_calloc_", "tor_malloc_", "tor_malloc_zero_",
    "tor_realloc_", "tor_strdup_", "tsd_tcache_data_init", "uv__calloc", "uv__malloc",
    "uv__realloc", "uv__reallocf", "uv__strdup", "uv__strndup", "v8::base::AlignedAlloc",
    "v8::base::Calloc", "v8::base::Malloc", "v8::base::OS::Allocate",
    "v8::base::PageAllocator::AllocatePages", "v8::internal::AccountingAllocator::AllocateSegment",
    "v8::internal::AlignedAllocWithRetry", "v8::internal::AllocWithRetry",
    "v8::internal::AllocatePages", "v8::internal::Zone::Expand", "vlc_alloc", "vlc_reallocarray",
    "wmem_alloc", "wmem_alloc0", "wmem_realloc", "x2nrealloc", "x2realloc", "xcalloc", "xcharalloc",
    "xicalloc", "ximalloc", "xirealloc", "xireallocarray", "xizalloc", "xmalloc", "xmallocarray",
    "xmallocz", "xmallocz_gently", "xmemdup", "xmemdup0", "xmemdupz", "xnmalloc", "xnrealloc",
    "xpalloc", "xrealloc", "xreallocarray", "xstrdup", "xstrndup", "xzalloc", "zcalloc",
    "zcalloc_num", "zcalloc_usable", "zend_mm_alloc_heap", "zend_mm_alloc_huge",
    "zend_mm_alloc_large", "zend_mm_alloc_large_ex", "zend_mm_alloc_pages",
    "zend_mm_alloc_small_slow", "zend_mm_chunk_alloc", "zend_mm_chunk_alloc_int", "zend_mm_mmap",
    "zend_mm_realloc_heap", "zend_mm_realloc_huge", "zend_mm_realloc_slow", "zmalloc",
    "zmalloc_no_tcache", "zmalloc_usable", "zmalloc_usable_internal", "zrealloc", "zrealloc_usable",
    "zstrdup", "ztrycalloc", "ztrycalloc_usable", "ztrycalloc_usable_internal", "ztrymalloc",
    "ztrymalloc_usable", "ztrymalloc_usable_internal", "ztryrealloc", "ztryrealloc_usable",
    "ztryrealloc_usable_internal",
};

static const char *const beginnings[] = {
    "_mi_", "absl::container_internal::", "allocator_api2::", "boost::container::",
    "bytes.(*Buffer).Grow", "bytes.(*Buffer).grow", "bytes.growSlice", "bytes.makeSlice",
    "folly::fbstring", "folly::fbvector", "google::protobuf::Arena::Allocate",
    "google::protobuf::internal::SerialArena::", "hashbrown::raw::", "internal/bytealg.MakeNoZero",
    "llvm::BumpPtrAllocatorImpl<", "mi_", "reflect.growslice", "reflect.unsafe_New", "slices.Grow[",
    "strings.(*Builder).Grow", "strings.(*Builder).grow", "tcmalloc::",
};
/* clang-format on */

static int
compare_names(const void *left, const void *right)
{
	return strcmp(left, *(const char *const *)right);
}

static bool
is_listed(const char *name)
{
	return bsearch(name, names, sizeof(names) / sizeof(*names), sizeof(*names),
		       compare_names) != NULL;
}

bool
vmt_allocator_wrappers_has(const char *function)
{
	size_t length = strcspn(function, "(<.@");
	char name[NAME_BYTES];

	for (size_t i = 0; i < sizeof(beginnings) / sizeof(*beginnings); i++)
		if (strncmp(function, beginnings[i], strlen(beginnings[i])) == 0)
			return true;
	if (length == 0 || length >= sizeof(name))
		return false;
	memcpy(name, function, length);
	name[length] = '\0';
	return is_listed(name);
}

const char *const *
vmt_allocator_wrappers_names(size_t *count)
{
	*count = sizeof(names) / sizeof(*names);
	return names;
}
