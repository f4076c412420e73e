/*
 * document.cc - a tree of elements with links to their parents, and listeners, in C++
 *
 * An element holds its children, each child its parent, a listener the element that it changes:
 * cycles wherever one looks, as in a browser's document. Nobody takes them apart: what the program
 * drops goes. An observer that shall not keep anything alive has a weak reference.
 *
 *     c++ -std=c++17 document.cc $(pkg-config --cflags --libs ouro) && ./a.out
 */
#include <ouro.hpp>

#include <cstdio>
#include <functional>
#include <string>
#include <utility>
#include <vector>

using ouro::make;
using ouro::ref;

static int n_elements;

struct listener;

struct element {
	std::string name, text;
	ouro::slot<element> parent;
	std::vector<ref<element>> children;  /* changed only under an ouro::pin */
	std::vector<ref<listener>> listeners;

	explicit element(std::string n) : name(std::move(n)) { n_elements++; }
	~element() { n_elements--; }

	ref<element> append(std::string child_name);
	void listen(const ref<element> &target, std::string prefix);
	void set(std::string new_text);
	std::string path() const;

	OURO_TYPE(element, name, text, parent, children, listeners)
};

/* Shows what happens to one element in another. */
struct listener {
	ouro::slot<element> target;
	std::string prefix;

	listener(const ref<element> &t, std::string p) : target(t), prefix(std::move(p)) {}
	OURO_TYPE(listener, target, prefix)
};

ref<element> element::append(std::string child_name)
{
	ref<element> child = make<element>(std::move(child_name));
	child->parent = ouro::share(this);
	ouro::pin pinned; /* no collection looks at the vector meanwhile */
	children.push_back(child);
	return child;
}

void element::listen(const ref<element> &target, std::string prefix)
{
	ref<listener> l = make<listener>(target, std::move(prefix));
	ouro::pin pinned;
	listeners.push_back(std::move(l));
}

/* A listener may do anything, even remove itself: so the list is copied, reference by reference. */
void element::set(std::string new_text)
{
	text = std::move(new_text);
	const std::vector<ref<listener>> now = listeners;
	for (const ref<listener> &l : now)
		if (ref<element> target = l->target)
			target->text = l->prefix + text;
}

std::string element::path() const
{
	ref<element> up = parent;
	return up ? up->path() + "/" + name : name;
}

static ouro::weak<element> build_and_drop()
{
	ref<element> page = make<element>("page");
	ref<element> form = page->append("form"), input = form->append("input");
	ref<element> status = page->append("status");
	for (int i = 0; i < 100; i++)
		page->append("paragraph")->append("word");
	input->listen(status, "typed: ");
	status->listen(input, "again: "); /* and back: one more cycle */
	input->set("hello");
	std::printf("%s shows \"%s\"\n", status->path().c_str(), status->text.c_str());
	std::printf("%d elements, %s\n", n_elements, input->path().c_str());
	return input;
}

int main()
{
	ouro::weak<element> input = build_and_drop();
	ouro_gc_collect(2); /* the library would do so by itself, a little later */
	std::printf("%d elements, the input is %s\n", n_elements,
		    input.expired() ? "gone" : "there");
	ouro_report report;
	if (ouro_shutdown(&report) != 0)
		return 1;
	std::printf("%zu objects left\n", report.objects);
	return 0;
}
