// The application's own script: it knows nothing of the gateway.
const time = document.getElementById("time");
const state = document.getElementById("state");
const events = new EventSource("stream");

events.onopen = () => { state.textContent = "connected"; };
events.addEventListener("tick", ({ data }) => { time.textContent = data; });
events.onerror = () => {
  time.textContent = "–";
  // The browser tries again by itself, unless it was told to log in.
  state.textContent = events.readyState === EventSource.CLOSED
    ? "cut off, and a new stream was refused"
    : "cut off, trying again";
};
