/* containers.h - a map and a vector in a fuzzed program, beside models of them */
#ifndef FUZZ_CONTAINERS_H
#define FUZZ_CONTAINERS_H

#include "program.h"

/* Before the threads begin; behind the last step of any. Without the first no step does a thing. */
void containers_begin(void);
void containers_end(void);
/* At rest: are they what the models say? Returns how many objects they are made of. */
size_t containers_check(void);

#define CONTAINER_STEPS \
	step_map_put, step_map_put, step_map_get, step_map_get, step_map_take, step_map_replace, \
	step_map_remove, step_map_each, step_map_clear, step_vec_push, step_vec_push, \
	step_vec_pop, step_vec_get, step_vec_set, step_vec_each

void step_map_put(int t, const struct step *s);
void step_map_get(int t, const struct step *s);
void step_map_take(int t, const struct step *s);
void step_map_replace(int t, const struct step *s);
void step_map_remove(int t, const struct step *s);
void step_map_each(int t, const struct step *s);
void step_map_clear(int t, const struct step *s);
void step_vec_push(int t, const struct step *s);
void step_vec_pop(int t, const struct step *s);
void step_vec_get(int t, const struct step *s);
void step_vec_set(int t, const struct step *s);
void step_vec_each(int t, const struct step *s);

#endif
