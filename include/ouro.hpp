/*
 * ouro.hpp - ouro for C++17 and later: references, slots and objects as types
 *
 *     struct node {
 *             ouro::slot<node> next, prev;
 *             ouro::weak<node> parent;
 *             std::string name;
 *             explicit node(std::string n) : name(std::move(n)) {}
 *             OURO_TYPE(node, next, prev, parent, name)
 *     };
 *
 *     ouro::ref<node> a = ouro::make<node>("a");
 *     a->next = a;                                    // counted by the slot
 *     ouro::ref<node> b = a->next;                    // loaded: a reference of one's own
 *
 * ref<T> is one counted reference, and lies on stacks, in containers, in lambdas: it is one pointer
 * wide, and a copy is ouro_retain, a destructor ouro_release, a move neither. slot<T> is the
 * reference inside an object, or in a root<T>: each access is one call of ouro/slot.h, so slots may
 * be used by several threads at once, as no shared_ptr may. weak<T> is an ouro_weak. An object is
 * a T, made in the heap by make<T>(); its type is described by OURO_TYPE, which lists all
 * members, so that the compiler sees whether one is missing (ouro/describe.hpp). The layouts are
 * those of C: a slot<T> is a T *, so both languages may work on the same objects. map<V>, vec<T>,
 * bytes, weak_map<V> and key_map<K, V> are the containers of C (ouro/contain.hpp).
 *
 * Exceptions. A constructor may throw: make<T>() leaves nothing behind then, and the exception goes
 * on. What a destructor or a finalize() of T throws is ignored, as in Python: unhandled() says who
 * hears of it. make and weak<T> throw std::bad_alloc without memory. An exception out of a callback
 * of a type that is not described by OURO_TYPE passes a slot's operations as it does those of C; a
 * ref's are noexcept, so there it ends the program by std::terminate, and so does the cancellation
 * of a thread in a callback.
 *
 * What may block, and where code of the program runs, is as ouro.h says of the C call that is
 * named at each operation. SPDX-License-Identifier: MIT
 */
#ifndef OURO_HPP
#define OURO_HPP

#include "ouro.h"

#include "ouro/ref.hpp"
#include "ouro/member.hpp"
#include "ouro/describe.hpp"
#include "ouro/make.hpp"
#include "ouro/contain.hpp"
#include "ouro/weak_map.hpp"
#include "ouro/key_map.hpp"

#endif
