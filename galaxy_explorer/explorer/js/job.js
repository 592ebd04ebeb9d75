// How far slow work is, and the button that stops it.

export function render({model}) {
  const root = element("div", "job")
  const words = element("div", "job-words", "", {role: "status"})
  const bar = element("div", "job-track", "", {role: "progressbar", "aria-label": "Progress"})
  const fill = element("div", "job-fill")
  bar.append(fill)
  const stop = element("button", "plain-button", "Cancel")
  stop.addEventListener("click", () => {
    model.send_msg(model.running ? {cancel: true} : {again: true})
  })
  const line = element("div", "job-line")
  line.append(bar, stop)
  root.append(words, line)

  const draw = () => {
    words.textContent = model.words
    words.classList.toggle("refused", model.refused)
    line.style.visibility = model.running || model.resumable ? "visible" : "hidden"
    stop.textContent = model.running ? "Cancel" : "Draw them"
    const share = Math.round(100 * model.share)
    fill.style.width = `${share}%`
    bar.setAttribute("aria-valuenow", share)
    root.dataset.state = model.running ? "running" : model.refused ? "refused" : "idle"
    root.dataset.done = model.done
  }
  drawOnChange(model, ["words", "refused", "running", "resumable", "share", "done"], draw)
  draw()
  return root
}
