/*
 * own_allocator.h: the functions of an allocator that the program itself brings
 *
 * A program that has jemalloc or tcmalloc linked into it calls them without the loader: no hook of
 * the library's sees that. Where symbols of the program's file say where the functions are, and
 * each can be changed at its entry (inject/heap_hooks.h), they come to the handlers of
 * capture/record/heap_entries.h. Nothing is changed once the process has a second thread.
 *
 * In two steps: the file is looked through before the trace begins, as that may be the largest RSS
 * so far; the functions are changed when the trace is there. Constructor only. x86-64 alone.
 */
#ifndef VMT_OWN_ALLOCATOR_H
#define VMT_OWN_ALLOCATOR_H

#include <stdbool.h>

/* defines_malloc: the program is known to have one. */
void vmt_own_allocator_find(bool defines_malloc);

/* Leads the functions to their handlers, and says in the trace's head which were not. own_malloc:
 * the program's malloc, or NULL. False: that one is not led. */
bool vmt_own_allocator_lead(const void *own_malloc);

#endif
