"""Print a chat answer as it comes, and never take a cut answer for a complete one."""

from served import served

from xdm_integrations import Client, StreamInterruptedError

with served(), Client() as client:
    try:
        with client.stream_chat("Count to ten", temperature=0) as stream:
            for chunk in stream:
                print(chunk.text, end="", flush=True)
        print("\n" + stream.completion.finish_reason)
    except StreamInterruptedError as error:  # raised even if the gateway says that all is well
        print("cut off after:", error.text)

# Output:
# 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
# stop
