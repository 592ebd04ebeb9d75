// Says that nobody answers, as long as nobody does: in a notebook without its kernel, or without
// the library that ties a cell to it.

const PATIENCE_MS = 4000
const WORDS =
  "This cell is only a picture: nothing you do in it reaches Python. Run the cell again; if this" +
  " stays, install what ties cells to the kernel (in JupyterLab pip install pyviz_comms, in VS" +
  " Code or Colab pip install jupyter_bokeh) and reload the page."

export function render({model}) {
  const notice = element("p", "kernel-notice", WORDS)
  notice.hidden = true
  notice.setAttribute("role", "alert")
  const timer = setTimeout(() => {
    notice.hidden = false
  }, PATIENCE_MS)
  model.on("msg:custom", () => {
    clearTimeout(timer)
    notice.hidden = true
  })
  model.send_msg({ready: true})
  return notice
}
