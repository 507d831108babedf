/*
 * fork_code.h: where the code lies that fork children run before anything else
 *
 * A child's page tables begin without a program's code: each part of it that the child runs is a
 * page fault, which brings its surroundings too (64 KiB on Linux). So what every child runs lies
 * together, in the part of the code that compilers keep for what is seldom run.
 */
#ifndef VMT_FORK_CODE_H
#define VMT_FORK_CODE_H

#define VMT_FORK_CODE __attribute__((cold))

#endif
