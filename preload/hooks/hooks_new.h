/*
 * hooks_new.h: whether the hooks of C++ operator new and delete stand in front of anything
 *
 * Where nothing that is loaded with the program defines operator new (a C program), our exports
 * must not be found: a C++ plugin loaded later would bind to them instead of to its own libstdc++,
 * and code that asks whether operator new exists would be told so. They are then taken out of this
 * library's dynamic symbol table in memory. What was bound before the constructor ran stays bound:
 * the hooks then serve it from the next malloc. Constructor only.
 */
#ifndef VMT_HOOKS_NEW_H
#define VMT_HOOKS_NEW_H

void vmt_hooks_new_set_up(void);

#endif
