// Histograms that are brushed. Each has a node, and shows how many pass (`front`, one number a bar,
// the last: missing) and its brush; what a visitor does goes to `change(brush or null, final)`.

const SVG = "http://www.w3.org/2000/svg"
const TALL = 100
const MAGNIFIED_BELOW = 0.35 // of the height of all bars: then those in front are magnified
const TIMES = [1000, 500, 200, 100, 50, 20, 10, 5, 2]
const MOVED = 3 // screen pixels
const SETTLED_MS = 350 // after the last key

const formatNumber = (value) => String(Number(value.toPrecision(6))).replace("-", "−")
const grouped = (count) => count.toLocaleString("en-US")
const brushed = (brush) =>
  brush.spans.length || brush.words.length || brush.missing ? brush : null

// How often what is in front is magnified, so that it can be seen beside all.
function timesOf(front, all) {
  const [most, top] = [Math.max(...front.slice(0, -1), 0), Math.max(...all.slice(0, -1), 1)]
  if (!most || most >= MAGNIFIED_BELOW * top) return 1
  return TIMES.find((times) => most * times <= top) ?? 1
}

class BrushFrame {
  constructor(data, change, off) {
    Object.assign(this, {data, change, missing: false, n: data.all.length - 1})
    this.node = element("div", `brush ${data.stops.length ? "" : "text"}`)
    this.node.dataset.column = data.name
    this.node.setAttribute("role", "group")
    this.node.setAttribute("aria-label", `Brush ${data.short}`)
    const head = element("div", "brush-head")
    this.title = element("span", "brush-title", data.title)
    this.unit = element("span", "brush-unit", data.unit)
    this.times = element("span", "brush-times")
    this.off = element("button", "icon-button brush-off", "×")
    this.off.addEventListener("click", () => off(this.on))
    head.append(this.title, this.unit, this.times, this.off)
    this.node.append(head)
  }

  dress(on, front) {
    this.on = on
    this.node.classList.toggle("on", on)
    const words = on ? `Clear the brush on ${this.data.short}` : `Take ${this.data.short} away`
    this.off.title = words
    this.off.setAttribute("aria-label", words)
    const times = timesOf(front, this.data.all)
    this.times.textContent = times > 1 ? `×${times}` : ""
    this.times.title = `Galaxies that pass are drawn ${times} times as many`
    return times
  }

  toggle(name, words, pressed) {
    const button = element("button", name, "", {"aria-label": words})
    button.title = words
    button.setAttribute("aria-pressed", String(pressed))
    return button
  }
}

// Words: each a bar that is on or off.
class WordBars extends BrushFrame {
  constructor(data, change, off) {
    super(data, change, off)
    this.grid = element("div", "brush-words")
    this.node.append(this.grid)
    this.words = new Set()
    const bars = data.words.map(([word, shown]) => this.bar(shown, () => this.turn(word)))
    if (data.more) {
      const rest = this.bar(`${grouped(data.more)} others`, () => undefined)
      rest.disabled = true
      bars.push(rest)
    }
    this.nothing = this.bar(`no ${data.short}`, () => this.turn(null))
    this.nothing.hidden = !data.all[this.n]
    this.bars = [...bars, this.nothing]
    this.grid.append(...this.bars)
  }

  bar(shown, turn) {
    const button = element("button", "brush-word")
    button.append(element("span", "", shown), element("span", "brush-number"))
    button.addEventListener("click", turn)
    return button
  }

  turn(word) {
    if (word === null) this.missing = !this.missing
    else if (!this.words.delete(word)) this.words.add(word)
    this.change(brushed({spans: [], words: [...this.words], missing: this.missing}), true)
  }

  show(front, brush) {
    this.words = new Set(brush?.words ?? [])
    this.missing = Boolean(brush?.missing)
    const times = this.dress(Boolean(brush), front)
    const top = Math.max(...this.data.all.slice(0, -1), 1)
    this.bars.forEach((bar, i) => {
      const place = bar === this.nothing ? this.n : i
      const [all, passing] = [this.data.all[place], front[place]]
      const [name, number] = bar.children
      bar.style.setProperty("--whole", Math.min(1, all / top))
      bar.style.setProperty("--passing", Math.min(1, (times * passing) / top))
      number.textContent = grouped(passing)
      const word = this.data.words[place]?.[0]
      const on = bar === this.nothing ? this.missing : this.words.has(word)
      const words = `${name.textContent}: ${grouped(passing)} of ${grouped(all)}`
      bar.setAttribute("aria-label", words)
      bar.title = words
      if (!bar.disabled) bar.setAttribute("aria-pressed", String(on))
    })
  }
}

// Numbers: ranges that are drawn, moved and drawn out; places are bars from the left edge.
class NumberBars extends BrushFrame {
  constructor(data, change, off) {
    super(data, change, off)
    this.spans = []
    this.drag = null
    const body = element("div", "brush-body")
    this.plot = element("div", "brush-plot")
    this.nothing = this.toggle("brush-missing", `no ${data.short}`, false)
    this.nothing.hidden = !data.all[this.n]
    this.drawBars()
    this.marks = element("div")
    this.plot.append(this.marks)
    body.append(this.plot, this.nothing)
    this.node.append(body, this.foot())
    this.listen()
  }

  foot() {
    const foot = element("div", "brush-foot")
    const axis = element("div", "brush-axis")
    for (const [place, words] of this.data.ticks) {
      const tick = element("span", "", words)
      tick.style.left = `${(100 * place) / this.n}%`
      axis.append(tick)
    }
    foot.append(axis)
    if (!this.nothing.hidden) foot.append(element("span", "brush-none", "none"))
    return foot
  }

  drawBars() {
    const drawing = (bars, wide) => {
      const svg = document.createElementNS(SVG, "svg")
      svg.setAttribute("viewBox", `0 0 ${wide} ${TALL}`)
      svg.setAttribute("preserveAspectRatio", "none")
      svg.setAttribute("aria-hidden", "true")
      const layers = ["brush-all", "brush-front"].map((layer) =>
        bars.map((bar) => {
          const rect = document.createElementNS(SVG, "rect")
          rect.setAttribute("class", layer)
          rect.setAttribute("x", bar + 0.06)
          rect.setAttribute("width", 0.88)
          svg.append(rect)
          return rect
        }),
      )
      return [svg, layers]
    }
    const [svg, [all, front]] = drawing([...Array(this.n).keys()], this.n)
    const [aside, [none, noneFront]] = drawing([0], 1)
    this.plot.append(svg)
    this.nothing.append(aside)
    this.all = [...all, ...none]
    this.front = [...front, ...noneFront]
    this.data.colours.forEach((colour, i) => {
      this.front[i].style.setProperty("--tint", colour)
    })
    const top = Math.max(...this.data.all.slice(0, -1), 1)
    this.all.forEach((rect, i) => {
      rise(rect, this.data.all[i] / top)
    })
  }

  listen() {
    const plot = this.plot
    plot.addEventListener("pointerdown", (event) => this.press(event))
    plot.addEventListener("pointermove", (event) => this.move(event))
    plot.addEventListener("pointerup", (event) => this.release(event))
    plot.addEventListener("pointercancel", () => this.giveUp())
    plot.addEventListener("pointerleave", () => this.read(-1))
    plot.addEventListener("keydown", (event) => this.key(event))
    this.nothing.addEventListener("click", () => {
      this.missing = !this.missing
      this.settle(true)
    })
  }

  // The place of a value: of the lower end of a span (side 0), or of the upper one.
  placeOf(value, side) {
    const {stops, few} = this.data
    if (value === null) return side * this.n
    const i = stops.findLastIndex((stop) => stop <= value)
    if (i < 0) return 0
    if (few) return i + side
    if (i >= stops.length - 1) return this.n
    return i + (value - stops[i]) / (stops[i + 1] - stops[i])
  }

  valueAt(place, side) {
    const {stops, few} = this.data
    if (few) return stops[place - side]
    return place === side * this.n ? null : stops[place]
  }

  span(from, to) {
    return {from, to, values: [this.valueAt(from, 0), this.valueAt(to, 1)]}
  }

  placeUnder(event) {
    const box = this.plot.getBoundingClientRect()
    return Math.min(this.n, Math.max(0, ((event.clientX - box.x) / box.width) * this.n))
  }

  barAt(place) {
    return Math.min(this.n - 1, Math.floor(place))
  }

  // The spans that have handles: without a brush, one over everything.
  shown() {
    return this.spans.length ? this.spans : [this.span(0, this.n)]
  }

  press(event) {
    if (event.button !== 0 || !event.isPrimary) return
    event.preventDefault()
    this.plot.setPointerCapture(event.pointerId)
    const place = this.placeUnder(event)
    const handle = event.target.closest(".brush-handle")
    const inside = this.spans.findIndex((span) => span.from <= place && place < span.to)
    const kept = event.shiftKey ? [...this.spans] : []
    this.drag = {x: event.clientX, place, kept, shift: event.shiftKey, moved: false}
    if (handle) {
      handle.focus()
      const at = Number(handle.dataset.span)
      const {from, to} = this.shown()[at]
      this.drag.kept = this.spans.filter((_, i) => i !== at)
      this.drag.fixed = handle.dataset.side === "0" ? to : from
    } else if (inside >= 0 && !event.shiftKey) {
      this.drag.kept = this.spans.filter((_, i) => i !== inside)
      this.drag.held = this.spans[inside]
    }
  }

  move(event) {
    const drag = this.drag
    const place = this.placeUnder(event)
    this.read(this.barAt(place))
    if (!drag || (!drag.moved && Math.abs(event.clientX - drag.x) < MOVED)) return
    drag.moved = true
    const span = this.dragged(drag, place)
    const key = `${span.from} ${span.to}`
    if (drag.key === key) return
    drag.key = key
    this.spans = [...drag.kept, span]
    if (drag.fixed === undefined && !drag.held && !drag.shift) this.missing = false
    this.settle(false)
  }

  dragged({fixed, held, place: start}, place) {
    if (fixed !== undefined) {
      const edge = Math.round(place)
      if (edge === fixed)
        return place < fixed || fixed === this.n
          ? this.span(fixed - 1, fixed)
          : this.span(fixed, fixed + 1)
      return this.span(Math.min(edge, fixed), Math.max(edge, fixed))
    }
    if (held) {
      const [from, to] = [
        Math.round(held.from),
        Math.max(Math.round(held.from) + 1, Math.round(held.to)),
      ]
      const by = Math.max(-from, Math.min(this.n - to, Math.round(place - start)))
      return this.span(from + by, to + by)
    }
    const [first, last] = [this.barAt(start), this.barAt(place)].sort((a, b) => a - b)
    return this.span(first, last + 1)
  }

  release(event) {
    const drag = this.drag
    if (!drag) return
    this.drag = null
    if (drag.moved) this.settle(true)
    else this.click(this.barAt(this.placeUnder(event)), drag.shift)
  }

  giveUp() {
    this.drag = null
    this.show(this.shownFront, this.brush)
  }

  // One bar alone, or none if it was alone already; with shift, this bar too, or no more.
  click(bar, shift) {
    const is = (span) => span.from === bar && span.to === bar + 1
    const there = this.spans.some(is)
    if (shift) this.spans = this.spans.filter((span) => !is(span))
    else {
      const alone = there && this.spans.length === 1 && !this.missing
      this.spans = []
      this.missing = false
      if (alone) return this.settle(true)
    }
    if (!there || !shift) this.spans = [...this.spans, this.span(bar, bar + 1)]
    return this.settle(true)
  }

  // Spans that touch become one.
  joined() {
    const joined = []
    for (const span of [...this.spans].sort((a, b) => a.from - b.from)) {
      const last = joined.at(-1)
      if (last && span.from <= last.to) {
        if (span.to > last.to) {
          joined[joined.length - 1] = {
            from: last.from,
            to: span.to,
            values: [last.values[0], span.values[1]],
          }
        }
      } else joined.push(span)
    }
    return joined
  }

  settle(final) {
    clearTimeout(this.timer)
    this.timer = undefined
    const spans = this.joined()
    const whole = spans.length === 1 && spans[0].from === 0 && spans[0].to === this.n
    const told = whole && (this.missing || !this.data.all[this.n]) ? [] : spans
    if (final) {
      this.spans = told
      if (!told.length && whole) this.missing = false
    }
    this.draw()
    this.change(
      brushed({spans: told.map((span) => span.values), words: [], missing: this.missing}),
      final,
    )
  }

  key(event) {
    const handle = event.target.closest(".brush-handle")
    if (!handle || this.drag) return
    if (event.key === "Escape" && this.on) {
      event.stopPropagation()
      this.spans = []
      this.missing = false
      this.settle(true)
      return
    }
    const [at, side] = [Number(handle.dataset.span), Number(handle.dataset.side)]
    const {from, to} = this.shown()[at]
    const now = Math.round(side ? to : from)
    const goes = {
      ArrowLeft: now - 1,
      ArrowDown: now - 1,
      ArrowRight: now + 1,
      ArrowUp: now + 1,
      PageDown: now - 5,
      PageUp: now + 5,
      Home: 0,
      End: this.n,
    }[event.key]
    if (goes === undefined) return
    event.preventDefault()
    const [least, most] = side ? [Math.round(from) + 1, this.n] : [0, Math.round(to) - 1]
    const place = Math.min(most, Math.max(least, goes))
    const spans = [...this.shown()]
    spans[at] = side ? this.span(from, place) : this.span(place, to)
    this.spans = spans
    this.settle(false)
    this.timer = setTimeout(() => this.settle(true), SETTLED_MS)
  }

  words(bar) {
    const {stops, few, unit} = this.data
    if (bar === this.n) return `no ${this.data.short}`
    if (few) return `${this.data.short} ${formatNumber(stops[bar])} ${unit}`.trim()
    const [low, high] = [formatNumber(stops[bar]), formatNumber(stops[bar + 1])]
    if (bar === 0) return `below ${high} ${unit}`.trim()
    return bar === this.n - 1 ? `from ${low} ${unit}`.trim() : `${low} to ${high} ${unit}`.trim()
  }

  // What a bar holds, in the place of the title.
  read(bar) {
    this.title.hidden = bar >= 0
    this.unit.textContent = bar < 0 ? this.data.unit : this.told(bar)
  }

  told(bar) {
    const counts = `${grouped(this.shownFront[bar])} of ${grouped(this.data.all[bar])}`
    return `${this.words(bar)}: ${counts}`
  }

  show(front, brush) {
    this.shownFront = front
    this.brush = brush
    if (!this.drag && this.timer === undefined) {
      this.missing = Boolean(brush?.missing)
      this.spans = (brush?.spans ?? []).map((values) => ({
        from: this.placeOf(values[0], 0),
        to: this.placeOf(values[1], 1),
        values,
      }))
    }
    this.draw()
  }

  draw() {
    const {data, n, missing} = this
    const on = this.spans.length > 0 || missing
    const times = this.dress(on, this.shownFront)
    const top = Math.max(...data.all.slice(0, -1), 1)
    this.front.forEach((rect, i) => {
      rise(rect, (times * this.shownFront[i]) / top)
      const passes = i === n ? missing : this.spans.some(({from, to}) => from < i + 1 && i < to)
      rect.classList.toggle("brush-out", on && !passes)
    })
    const words = this.told(n)
    this.nothing.setAttribute("aria-pressed", String(missing))
    this.nothing.setAttribute("aria-label", words)
    this.nothing.title = words
    this.mark()
  }

  // A box for each span, and a handle for each of its ends; nodes stay, so that focus does.
  mark() {
    const shown = this.shown()
    while (this.marks.children.length > 3 * shown.length) this.marks.lastChild.remove()
    for (let at = this.marks.children.length / 3; at < shown.length; at++) {
      this.marks.append(element("div", "brush-span"), this.handle(at, 0), this.handle(at, 1))
    }
    const share = (place) => `${(100 * place) / this.n}%`
    shown.forEach(({from, to, values}, at) => {
      const [box, ...handles] = [...this.marks.children].slice(3 * at, 3 * at + 3)
      box.hidden = !this.spans.length
      box.style.left = share(from)
      box.style.width = share(to - from)
      handles.forEach((handle, side) => {
        const [place, value] = [side ? to : from, values[side]]
        handle.style.left = share(place)
        handle.setAttribute("aria-valuenow", Math.round(place))
        const words =
          value === null ? "no limit" : `${formatNumber(value)} ${this.data.unit}`.trim()
        handle.setAttribute("aria-valuetext", words)
      })
    })
  }

  handle(at, side) {
    const handle = element("div", "brush-handle", "", {tabindex: 0})
    handle.dataset.span = at
    handle.dataset.side = side
    handle.setAttribute("role", "slider")
    handle.setAttribute("aria-orientation", "horizontal")
    handle.setAttribute("aria-valuemin", 0)
    handle.setAttribute("aria-valuemax", this.n)
    const which = at ? `, range ${at + 1}` : ""
    handle.setAttribute("aria-label", `${this.data.short} ${side ? "to" : "from"}${which}`)
    return handle
  }
}

function rise(rect, share) {
  const tall = TALL * Math.min(1, share)
  rect.setAttribute("y", TALL - tall)
  rect.setAttribute("height", tall)
}

function makeBrush(data, change, off) {
  return new (data.stops.length ? NumberBars : WordBars)(data, change, off)
}
